import { readFileSync } from "node:fs";
import { durationFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { run } from "../../../../src/cli/program.js";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { fakeShell } from "../../../cli/fake_shell.js";
import { ConsoleVisitor } from "../../../daemon/console_visitor.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { perSuite } from "../../../lifetimes.js";
import { ProxyClient } from "../proxy/proxy_client.js";
import { ListenerWorld } from "./listener_world.js";

const world = perSuite(() => ListenerWorld.start());

/** A shell whose programs are `program`. */
function shellWith(
  program: (env: NodeJS.ProcessEnv) => Promise<void> = async () => undefined,
  more: Record<string, string> = {},
) {
  const { dataDir } = world.daemon.place.config;
  const roots = String(world.daemon.place.environment["NODE_EXTRA_CA_CERTS"]);
  const env = { NEXUS_DATA_DIR: dataDir, NODE_EXTRA_CA_CERTS: roots, ...more };
  const shell = fakeShell({ env, userName: () => "ada" });
  const runProgram = async (_: readonly string[], given: NodeJS.ProcessEnv) => {
    await program(given);
    return 0;
  };
  // Certificates are judged by the machine's clock.
  return { ...shell, runProgram, clock: new ManualClock(Date.now()) };
}

async function listed(): Promise<Record<string, unknown>[]> {
  const shell = shellWith();
  expect(await run(["sessions", "--json"], shell)).toBe(0);
  return shell
    .out()
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe("nexusd sessions", () => {
  it("shows a program of nexusd run with what it sent and what was refused, until it ends", async () => {
    const shell = shellWith(async ({ HTTPS_PROXY = "", SSL_CERT_FILE = "" }) => {
      const client = new ProxyClient(
        new URL(HTTPS_PROXY),
        readFileSync(SSL_CERT_FILE, "utf8"),
        world.api.port,
      );
      for (const path of ["/v1/user", "/v1/repos", "/elsewhere"]) await client.ask(path);
      shell.clock.advance(15_000);
      await expect.poll(listed).toMatchObject([
        {
          ...{ principal: "owner", user_id: "ada", program: "agent.py", until: expect.any(String) },
          uses: [{ provider: "acme", status: 200, count: "2" }],
          refusals: [{ reason: "no-provider", count: "1" }],
        },
      ]);
      expect(JSON.stringify(await listed())).not.toContain("--secret");
    });
    const flags = ["--network", "providers", "--for", "8h"];
    const code = await run(["run", ...flags, "--", "/opt/agent.py", "--secret"], shell);
    expect([code, shell.err()]).toEqual([0, ""]);
    expect(await listed()).toEqual([]);
  });

  it("renews the lease of its key while the program runs, and no longer", async () => {
    const { clients, place, clock } = world.daemon;
    const made = await clients.access.createApiKey({
      ...{
        name: "leased",
        role: Role.AGENT,
        restriction: { userIds: ["ada"] },
        lease: durationFromMs(60_000),
      },
    });
    await world.daemon.caughtUp();
    const endsAtMs = async () => {
      const { apiKeys } = await clients.access.listApiKeys({});
      const end = apiKeys.find(({ name }) => name === "leased")?.leaseEndsAt;
      return end && timestampMs(end);
    };
    const program = async () => {
      for (let third = 0; third < 6; third++) {
        clock.advance(25_000);
        shell.clock.advance(20_000);
        await expect.poll(endsAtMs).toBe(clock.nowMs() + 60_000);
      }
    };
    const address = { NEXUS_ADDRESS: place.httpUrl, NEXUS_API_KEY: made.key };
    const shell = shellWith(program, address);
    expect([await run(["run", "--", "agent"], shell), shell.err()]).toEqual([0, ""]);
    clock.advance(60_000);
    shell.clock.advance(60_000);
    await expect.poll(endsAtMs).toBeUndefined();
  });

  it("ends with a line at a terminal where no request of the program came", async () => {
    const shell = shellWith();
    const terminal = { ...shell, stderr: { ...shell.stderr, isTTY: true } };
    expect(await run(["run", "--", "agent"], terminal)).toBe(0);
    expect(shell.err()).toContain("no request of the program came through the proxy");
  });

  it("forgets a program of which nothing is reported for a minute", async () => {
    const { egress } = world.daemon.clients;
    await egress.reportEgressSession({ session: { id: "killed", program: "agent" } });
    expect(await listed()).toMatchObject([{ id: "killed" }]);
    world.daemon.clock.advance(60_000);
    expect(await listed()).toEqual([]);
  });

  it("shows the callers of the listener, in a table and in the console", async () => {
    const { access } = world.daemon.clients;
    const made = await access.createApiKey({
      name: "pod",
      role: Role.AGENT,
      restriction: { userIds: ["ada"] },
    });
    await world.daemon.caughtUp();
    const client = await world.program("ada", made.key);
    await client.ask("/v1/user");
    await expect(client.tunnel("other.localhost:443")).rejects.toThrow(/^403/);
    const shell = shellWith();
    expect(await run(["sessions"], shell)).toBe(0);
    expect(shell.out()).toMatch(/^SESSION +CALLER +USER +SINCE +REQUESTS +REFUSED\n/);
    expect(shell.out()).toMatch(/key:pod +ada .* acme 200: 1 +host-refused: 1\n/);
    const visitor = await ConsoleVisitor.signedIn(world.daemon.clients);
    const { body } = await visitor.visit("/agents/key:pod");
    expect(body).toMatch(/Running sessions[\s\S]*<bdi>acme<\/bdi> 200: 1[\s\S]*host-refused/);
  });
});
