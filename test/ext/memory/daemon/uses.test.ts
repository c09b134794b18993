import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { run } from "../../../../src/cli/program.js";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { fakeShell } from "../../../cli/fake_shell.js";
import { DaemonProcesses } from "../../../daemon/daemon_process.js";
import { Place } from "../../../daemon/harness.js";
import { perSuite, perTest } from "../../../lifetimes.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { connected, ListenerWorld } from "../../egress/daemon/listener_world.js";
import { McpWorld } from "../../mcp/daemon/mcp_world.js";

const policy = `rules:
  - when: request.path.startsWith("/v1/reports")
    then: allow
    uses: 2/d
  - then: allow
`;
const file = join(temporaryFolder(), "policy.yaml");
writeFileSync(file, policy);
const restriction = { userIds: ["ada"] };
const role = Role.AGENT;
const spent = (name: string, limit: string) =>
  `the limit of uses of the API key ${name} is reached (${limit}): do not retry, because only an operator renews it`;

/** What the daemon answers a call with an API key: the status and the message. */
async function called(place: Place, method: string, key: string, body: object): Promise<string> {
  const answer = await fetch(`${place.httpUrl}/nexus.v1.TokenService/${method}`, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const { message = "" } = (await answer.json()) as { message?: string };
  return `${answer.status} ${message}`.trim();
}

describe("limits of uses", () => {
  const world = perSuite(() => ListenerWorld.start({ NEXUS_POLICY_FILE: file }));

  async function nexusd(env: NodeJS.ProcessEnv, ...args: string[]) {
    const shell = fakeShell({ env: { NEXUS_DATA_DIR: world.daemon.place.config.dataDir, ...env } });
    const code = await run(args, shell);
    return { code, out: shell.out(), err: shell.err() };
  }
  const keyOf = async (name: string, ...flags: string[]) =>
    (await nexusd({}, "keys", "create", name, "--user", "ada", ...flags)).out.trim();

  it("of a key count the token calls, the egress listener, and a proxy together, and end at each of them", async () => {
    const key = await keyOf("doors", "--uses", "6");
    const id = world.connectionId;
    const byName = { providerName: "acme", userId: "ada" };
    const authorized = async () => {
      const headers = { authorization: `Bearer ${key}` };
      const { status } = await fetch(`${world.daemon.place.httpUrl}/v1/authorize/${id}`, { headers });
      return status;
    };
    const program = await world.program("ada", key);
    const ask = async (version: 1 | 2) => {
      const { status, body } = await program.ask("/v1/x", { version });
      return status === 200 ? "200" : `${status} ${(JSON.parse(body) as { detail: string }).detail}`;
    };
    expect([
      await called(world.daemon.place, "GetToken", key, { connectionId: id }),
      await called(world.daemon.place, "AcquireToken", key, byName),
      await ask(1),
      await ask(2),
      await authorized(),
    ]).toEqual(["200", "200", "200", "200", 200]);
    const address = world.daemon.place.httpUrl;
    const curl = () => nexusd({ NEXUS_ADDRESS: address, NEXUS_API_KEY: key }, "token", "acme/ada");
    expect((await curl()).code).toBe(0);
    expect((await nexusd({}, "uses", "list")).out).toMatch(/key:doors +6 +the key +6/);
    const explained = await nexusd(
      {},
      "policy",
      "explain",
      ...["--principal", "key:doors", "--action", "token.read"],
    );
    expect(explained.out).toMatch(/^uses +6$/m);
    const words = spent("doors", "6");
    const last = await curl();
    expect([last.code === 0, last.err.includes(words)]).toEqual([false, true]);
    expect([
      await called(world.daemon.place, "GetToken", key, { connectionId: id }),
      await called(world.daemon.place, "AcquireToken", key, byName),
      await ask(1),
      await ask(2),
      await authorized(),
    ]).toEqual([`429 ${words}`, `429 ${words}`, `429 ${words}`, `429 ${words}`, 429]);

    expect((await nexusd({}, "uses", "reset", "key:doors")).out).toContain(
      "the limits of key:doors begin anew",
    );
    expect(await called(world.daemon.place, "GetToken", key, { connectionId: id })).toBe("200");
  });

  it("of a rule count the requests of each agent, hold after a restart, and say when they end", async () => {
    const grant = async (name: string) =>
      (await world.daemon.clients.access.createApiKey({ name, role, restriction })).key;
    const [one, two] = [await grant("rita.acme.0a1b2c"), await grant("rita.other.0a1b2d")];
    const ask = async (key: string, path: string) => (await world.program("ada", key)).ask(path, {});
    expect((await ask(one, "/v1/reports/1")).status).toBe(200);
    await world.daemon.restart();
    expect((await ask(two, "/v1/reports/2")).status).toBe(200);
    const { status, body } = await ask(one, "/v1/reports/3");
    expect([status, body]).toEqual([
      429,
      expect.stringMatching(
        /the limit of uses of the rule in line 2 of the policy file for key:rita.acme.0a1b2c is reached \(2\/d\): retry after \d{4}-/,
      ),
    ]);
    expect((await ask(one, "/v1/other")).status).toBe(200);
    expect((await nexusd({}, "uses", "list")).out).toMatch(/key:rita +2\/d +the rule in line 2 +2 +in /);
  });

  it.each([
    ["100/hour", 'knows no unit "hour": write 100/h'],
    ["many", "must be 1 to 1000000 uses"],
  ])("of %j are refused with what was meant", async (limit, words) => {
    const { code, err } = await nexusd({}, "grant", "claude", "acme", "--until", "8h", "--uses", limit);
    expect([code, err]).toEqual([2, expect.stringContaining(words)]);
    const bad = join(temporaryFolder(), "bad.yaml");
    writeFileSync(bad, `rules:\n  - then: allow\n    uses: ${limit}\n`);
    const checked = await nexusd({}, "policy", "check", bad);
    expect([checked.code === 0, `${checked.out}${checked.err}`]).toEqual([
      false,
      expect.stringContaining(words),
    ]);
  });

  it("stand in a grant, and in the lists of grants and keys", async () => {
    const made = await nexusd(
      {},
      "grant",
      "vera",
      "acme",
      "--user",
      "ada",
      "--lease",
      "10m",
      "--uses",
      "3/m",
    );
    expect(made.err).toContain("for at most 3/m uses");
    expect((await nexusd({}, "grants")).out).toMatch(/vera +acme .* 3\/m +vera\.acme\./);
    expect((await nexusd({}, "keys", "list")).out).toMatch(/vera\.acme\..* 3\/m/);
  });
});

it("a limit of a key counts the requests of call_api, and tells the model that a retry is of no use", {
  timeout: 60_000,
}, async () => {
  const mcp = await McpWorld.make();
  try {
    const { clients } = mcp.world;
    const provider = {
      ...{ name: "api", authType: AuthType.API_KEY, apiBaseUrl: `${mcp.api.origin}/v3/` },
      strategy: { kind: { case: "header" as const, value: { headerName: "Authorization" } } },
    };
    const { provider: made } = await clients.providers.createProvider({ provider });
    const credentials = { api_key: "canary-api-key-0123456789" };
    await clients.connections.importConnection({ userId: "ada", providerId: made?.id ?? "", credentials });
    const name = "model";
    const { key } = await clients.access.createApiKey({ name, role, restriction, uses: { uses: 2 } });
    const given = { transport: "http", revision: "2026-07-28", flags: ["--method", "any"], key } as const;
    const client = await mcp.client(given);
    const call = async () => {
      const { isError = false, content } = await client.call("call_api", { provider: "api", path: "/user" });
      return { isError, text: JSON.stringify(content) };
    };
    expect([(await call()).isError, (await call()).isError]).toEqual([false, false]);
    expect(await call()).toEqual({ isError: true, text: expect.stringContaining(spent(name, "2")) });
    expect(mcp.api.calls).toHaveLength(2);
  } finally {
    await mcp.close();
  }
});

describe("a daemon that is killed", () => {
  const place = perTest(() => Place.make({ NEXUS_OPS_LISTEN: "off" }));
  const daemons = perTest(() => new DaemonProcesses(place.environment));

  it("has given at most one token too few for each kill, and never one too many", {
    timeout: 120_000,
  }, async () => {
    const limit = 30;
    await daemons.started();
    const { access } = place.clients();
    const connectionId = await connected(place.clients(), { port: 1 });
    const { key } = await access.createApiKey({ name: "killed", role, restriction, uses: { uses: limit } });
    let given = 0;
    let kills = 0;
    for (let answer = ""; !answer.startsWith("429"); ) {
      try {
        answer = await called(place, "GetToken", key, { connectionId });
        if (answer === "200") given++;
        else expect(answer).toBe(`429 ${spent("killed", String(limit))}`);
        // The next call is under way when the daemon ends.
        if (given % 8 === 0 && kills < 3) {
          kills++;
          const next = called(place, "GetToken", key, { connectionId }).then(
            (late) => {
              if (late === "200") given++;
            },
            () => undefined,
          );
          await daemons.all.at(-1)?.kill("SIGKILL");
          await next;
          await daemons.started();
        }
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
      }
    }
    expect(kills).toBe(3);
    expect(given).toBeLessThanOrEqual(limit);
    expect(given).toBeGreaterThanOrEqual(limit - kills);
  });
});
