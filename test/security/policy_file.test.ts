import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Role } from "../../src/gen/nexus/v1/access_pb.js";
import { SystemClock } from "../../src/runtime/clock.js";
import { failureOf } from "../daemon/errors.js";
import { Place, Watcher } from "../daemon/harness.js";
import { temporaryFolder } from "../temporary_folder.js";
import { AccessWorld } from "./access_world.js";

const inForce = "the policy file is in force";
const broken = "the policy file is broken: the policy before it stays in force";

function binding(principal: string, ...lines: string[]): string {
  return [`  - principals: ["${principal}"]`, ...lines.map((line) => `    ${line}`), ""].join("\n");
}

async function endOf(watcher: Watcher): Promise<string> {
  try {
    while ((await watcher.next()) !== undefined);
    return "OK";
  } catch (error) {
    return Code[ConnectError.from(error).code] ?? "?";
  }
}

describe("the policy file", () => {
  const folder = temporaryFolder();
  const file = join(folder, "policy.yaml");
  let world: AccessWorld;
  beforeAll(async () => {
    writeFileSync(file, `bindings:\n${binding("key:narrow-*", "role: agent", "providers: [github]")}`);
    world = await AccessWorld.make({ NEXUS_POLICY_FILE: file });
  });
  afterAll(() => world.close());

  const logged = (message: string): number =>
    world.place.logLines.filter((line) => line.includes(message)).length;
  /** Renames over it, as editors do, and waits until it was looked at. */
  const write = async (text: string, message: string): Promise<void> => {
    const before = logged(message);
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
    // The clock of the daemon is moved by hand: the folder counts as quiet when it says so.
    await expect
      .poll(
        () => {
          world.clock.advance(300);
          return logged(message);
        },
        { timeout: 10_000, interval: 20 },
      )
      .toBeGreaterThan(before);
  };

  it("narrows what a key was made with, and cannot widen it", async () => {
    const narrowed = world.grpc(await world.key({ userIds: ["ada"] }, "narrow-1"));
    const { connections } = await narrowed.connections.listConnections({});
    expect(connections.map(({ id }) => id)).toEqual([world.connections.adaGithub]);
    const me = await narrowed.access.whoAmI({});
    expect(me.restrictions).toMatchObject([{ userIds: ["ada"] }, { providers: ["github"] }]);
    // An operator that is bound as an agent is neither more than the one nor than the other.
    const operator = world.grpc(await world.key({ role: Role.OPERATOR }, "narrow-2"));
    expect((await failureOf(operator.audit.listAuditEvents({}))).code).toBe("PermissionDenied");
    expect(
      (await failureOf(operator.tokens.getToken({ connectionId: world.connections.adaGithub }))).code,
    ).toBe("PermissionDenied");
    expect((await operator.connections.listConnections({})).connections.length).toBe(2);
  });

  it("leaves a key that it does not name as it was made, and the owner and the admin key what they are", async () => {
    const free = world.grpc(await world.key({ userIds: ["ada"] }, "free"));
    expect((await free.connections.listConnections({})).connections.length).toBe(2);
    expect(await world.admin.access.whoAmI({})).toMatchObject({ principal: "admin", role: Role.ADMIN });
  });

  it("is hot: a change takes effect, ends the streams that it concerns and leaves the others", async () => {
    const concerned = world.grpc(await world.key({ userIds: ["ada"] }, "hot-1"));
    const denied = world.grpc(await world.key({ userIds: ["ada"] }, "hot-2"));
    const other = world.grpc(await world.key({ userIds: ["ada"] }, "hot-3"));
    const streams = [concerned, denied, other].map(({ tokens }) => new Watcher(tokens, {}));
    let position: { epoch: string; revision: bigint } | undefined;
    for (const stream of streams) {
      await stream.until((event) => {
        if (event.case === "bookmark") position = event.value.position;
        return event.case === "bookmark";
      });
    }
    await write(
      `bindings:\n${binding("key:hot-1", "role: agent", "providers: [slack]")}${binding("key:hot-2", "role: operator")}`,
      inForce,
    );
    // At once: the clock of the daemon stands still. That a busy machine stands still too is allowed for.
    const startedMs = performance.now();
    expect(await Promise.all(streams.slice(0, 2).map(endOf))).toEqual(["Unavailable", "PermissionDenied"]);
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    // The third goes on.
    const mine = await world.import("ada", "github");
    await streams[2]?.until((event) => event.case === "state" && event.value.connectionId === mine);
    await world.admin.connections.deleteConnection({ connectionId: mine });
    streams[2]?.cancel();
    const { connections } = await concerned.connections.listConnections({});
    expect(connections.map(({ id }) => id)).toEqual([world.connections.adaSlack]);
    // A position of what was seen before is not resumed: the snapshot says what is seen now.
    const resumed = new Watcher(concerned.tokens, {
      position: { epoch: position?.epoch ?? "", revision: position?.revision ?? 0n },
    });
    expect((await resumed.next())?.case).toBe("reset");
    resumed.cancel();
  });

  it("when broken changes nothing, and is logged with its lines", async () => {
    await write("bindings:\n  - principals: [key:hot-1]\n    role: king\n", broken);
    const line = world.place.logLines.find((text) => text.includes(broken));
    expect(JSON.parse(line ?? "{}").violations).toEqual([
      `${file}:3:11: role: must be one of admin, operator, agent`,
    ]);
    const answer = await world.admin.access.explainAccess({ principal: "key:hot-1", action: "token.read" });
    expect(answer).toMatchObject({ verdict: 2, rule: expect.stringContaining("was made with") });
  });

  it("explains itself by line, also of principals that no key stands for", async () => {
    const jwt = "jwt:system:serviceaccount:agents:";
    await write(
      `bindings:\n${binding(`${jwt}*`, "role: agent", "user_ids: [ada]")}${binding("uid:1000", "role: operator")}`,
      inForce,
    );
    const ask = (principal: string, resource?: object) =>
      world.admin.access.explainAccess({ principal, action: "token.read", ...(resource && { resource }) });
    expect(await ask(`${jwt}research`, { connectionId: world.connections.adaGithub })).toMatchObject({
      verdict: 1,
      line: 2,
      role: Role.AGENT,
    });
    expect(await ask(`${jwt}research`, { connectionId: world.connections.bobGithub })).toMatchObject({
      verdict: 3,
      line: 2,
    });
    expect(await ask(`${jwt}research`, { userId: "bob" })).toMatchObject({ verdict: 3, line: 2 });
    expect(await ask("uid:1000")).toMatchObject({ verdict: 3, line: 5, role: Role.OPERATOR });
    expect(await ask("uid:1001")).toMatchObject({ verdict: 3, line: 0, role: Role.UNSPECIFIED });
  });

  it("leaves a trace of each policy in the audit log", async () => {
    const { events } = await world.admin.audit.listAuditEvents({ eventType: "policy.loaded" });
    expect(events.length).toBe(3);
    expect(events[0]).toMatchObject({
      principal: "daemon",
      reason: expect.stringMatching(/^sha256:[0-9a-f]{16}$/),
    });
  });

  it("warns of names of providers that do not exist, in the log, when asked, and for a provider that no rule names", async () => {
    const unknown = "the policy file names what does not exist";
    await write("rules:\n  - providers: [gihtub]\n    then: deny\n", unknown);
    const line = world.place.logLines.findLast((text) => text.includes(unknown));
    const warning = "line 2: there is no provider gihtub: did you mean github?";
    expect(JSON.parse(line ?? "{}")).toMatchObject({ warning, file });
    const resource = { provider: "github" };
    const asked = { principal: "key:hot-1", action: "token.read", resource };
    expect((await world.admin.access.explainAccess(asked)).warnings).toEqual([
      warning,
      expect.stringMatching(/^no rule names github: /),
    ]);
    await write("rules:\n  - providers: [github]\n    then: deny\n", inForce);
    expect((await world.admin.access.explainAccess(asked)).warnings).toEqual([]);
  });
});

describe("a daemon", () => {
  it.each([
    ["broken", "bindings: 1\n", /policy file cannot be used:\n.*policy\.yaml:1:11: bindings: must be a list/],
    [
      "missing",
      undefined,
      /policy file cannot be used:\n.*policy\.yaml: cannot be read: there is no such file \(ENOENT\)/,
    ],
  ])("does not start with a policy file that is %s", async (_, text, message) => {
    const file = join(temporaryFolder(), "policy.yaml");
    if (text !== undefined) writeFileSync(file, text);
    const place = await Place.make({ NEXUS_POLICY_FILE: file });
    await expect(place.start(new SystemClock())).rejects.toThrow(message);
    // Nothing is left behind that keeps it from starting.
    writeFileSync(file, "bindings: []\n");
    const daemon = await place.start(new SystemClock());
    await daemon.stop();
  });
});
