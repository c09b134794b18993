import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { run } from "../../../src/cli/program.js";
import { DaemonState, type GetStatusResponseSchema } from "../../../src/gen/nexus/v1/status_pb.js";
import { perTest } from "../../lifetimes.js";
import { connectionId, FakeDaemon, providerId } from "../fake_daemon.js";
import { ended, fakeShell, startMs } from "../fake_shell.js";

const counts = (...numbers: number[]) =>
  numbers.map((count, index) => ({ status: index + 1, count: BigInt(count) }));
const at = (offsetMs: number) => timestampFromMs(startMs + offsetMs);

const ready = {
  state: DaemonState.READY,
  checks: ["serving", "refreshing", "storing"].map((name) => ({ name, passing: true, message: "" })),
  version: "0.1.0",
  time: at(0),
  uptime: { seconds: 11_400n, nanos: 0 },
  connections: counts(0, 1200, 0, 0, 0, 0),
  subscribers: 4,
  storeBytes: 13_002_342n,
};
const ending = {
  ...ready,
  endingTokens: [{ connectionId, providerId, providerName: "acme", expiresAt: at(3_600_000) }],
};
const troubled = {
  ...ready,
  state: DaemonState.ATTENTION,
  connections: counts(2, 1200, 3, 0, 0, 0),
  refreshesRunning: 2,
  refreshLag: { seconds: 72n, nanos: 0 },
  nextRefreshes: [
    {
      connectionId,
      providerId,
      providerName: "github\u001b[31m",
      dueAt: at(250_000),
      failedRefreshes: 3,
    },
  ],
  failingProviders: [
    {
      providerId,
      providerName: "acme",
      reason: "transient",
      message: "the provider did not process the request (503)",
      since: at(-240_000),
      failures: 7,
      connections: 120n,
    },
  ],
  failingProviderCount: 2,
};

describe("nexusd status", () => {
  const daemon = perTest(() => new FakeDaemon());
  const serve = async (status: MessageInitShape<typeof GetStatusResponseSchema>): Promise<void> => {
    daemon.api.status = { getStatus: () => status };
    await daemon.start();
  };

  it("says that consents fail at a provider, and what changes its client", async () => {
    const message = "The provider refused the client.";
    const provider = { providerName: "acme", reason: "misconfigured", message, consents: true, failures: 1 };
    await serve({ ...troubled, failingProviders: [provider], failingProviderCount: 1 });
    const shell = fakeShell({ env: daemon.env });
    await run(["status"], shell);
    expect(shell.out()).toContain(
      `\nacme: consents fail: ${message}\nchange the client: nexusd provider update acme --client-id ID --client-secret-file FILE\n`,
    );
  });

  it("warns by --check of tokens that end soon and cannot be refreshed, and ends with 0", async () => {
    await serve(ending);
    const shell = await ended(0, ["status", "--check"], fakeShell({ env: daemon.env }));
    expect(shell.err()).toBe(
      `warning: the token of acme ends in 1h and cannot be refreshed; the user must consent again: nexusd connect --connection ${connectionId}\n`,
    );
    const table = `TOKEN ENDS, AND CANNOT BE REFRESHED  CONNECTION\nin 1h                                acme ${connectionId.slice(0, 8)}\n`;
    expect(shell.out()).toContain(table);
    const quiet = await ended(0, ["status"], fakeShell({ env: daemon.env }));
    expect([quiet.err(), quiet.out()]).toEqual(["", expect.stringContaining(table)]);
  });

  it("names the connections that it speaks of, and the command that lists who needs a person", async () => {
    daemon.addConnection();
    const { endingTokens } = ending;
    await serve({ ...troubled, endingTokens });
    const shell = await ended(22, ["status", "--check"], fakeShell({ env: daemon.env }));
    expect(shell.err()).toContain("consent again: nexusd connect github/alice\n");
    expect(shell.out()).toContain("in 4m 10s     github/alice  after 3 failures\n");
    expect(shell.out()).toContain("in 1h                                github/alice\n");
    expect(shell.out()).toContain(
      "total      1,205\nWhich need attention: nexusd connections --status attention\n",
    );
    const json = fakeShell({ env: daemon.env });
    const before = daemon.requests.length;
    await run(["status", "--json"], json);
    expect(daemon.requests.slice(before).map(({ method }) => method)).toEqual(["GetStatus"]);
  });

  it("is a few aligned lines, and 0 for a daemon that is well", async () => {
    await serve(ready);
    const shell = await ended(0, ["status", "--check"], fakeShell({ env: daemon.env }));
    expect(shell.out()).toBe(`nexusd       0.1.0
status       ready
up           3h 10m
store        12.4 MiB
subscribers  4
refreshing   0 running, 0 waiting

CONNECTIONS
pending        0
active     1,200
attention      0
revoked        0
expired        0
failed         0
total      1,200

FAILING PROVIDERS
none

NEXT REFRESHES
none
`);
  });

  it("says what fails and what comes next; no name steers the terminal", async () => {
    await serve(troubled);
    const shell = await ended(0, ["status", "--entries", "1"], fakeShell({ env: daemon.env }));
    expect(daemon.got("GetStatus")).toMatchObject([{ maxEntries: 1 }]);
    const [, , failing, next] = shell.out().split("\n\n");
    expect(failing).toBe(`FAILING PROVIDER  REASON     FOR  FAILURES  CONNECTIONS  NEXT PROBE
acme              transient  4m   7         120
acme: the provider did not process the request (503)
and 1 other`);
    expect(next).toBe(`NEXT REFRESH  CONNECTION
in 4m 10s     github?[31m ${connectionId.slice(0, 8)}  after 3 failures
`);
    expect(shell.out()).toContain("2 running, 0 waiting, the oldest late by 1m 12s");
  });

  it.each([
    [DaemonState.ATTENTION, [], 0],
    [DaemonState.ATTENTION, ["--check"], 22],
    [DaemonState.NOT_READY, [], 1],
    [DaemonState.NOT_READY, ["--check"], 1],
    [DaemonState.DRAINING, [], 1],
  ])("in state %i with %j it ends with %i", async (state, flags, code) => {
    await serve({ ...ready, state, checks: [{ name: "serving", message: "the daemon is ending" }] });
    const shell = fakeShell({ env: daemon.env });
    expect(await run(["status", ...flags], shell)).toBe(code);
    expect(shell.out()).toContain("serving      the daemon is ending\n");
    expect(shell.err()).toBe("");
  });

  it("prints the message as JSON, with the same code", async () => {
    await serve(troubled);
    const shell = await ended(22, ["status", "--json", "--check"], fakeShell({ env: daemon.env }));
    expect(JSON.parse(shell.out())).toMatchObject({
      state: "DAEMON_STATE_ATTENTION",
      next_refreshes: [{ connection_id: connectionId }],
      failing_provider_count: 2,
    });
  });

  it("ends with 20 where nobody answers, 2 for what it does not take, 1 for who may not ask", async () => {
    await serve(ready);
    const codeOf = (args: string[], env: Record<string, string>) => run(args, fakeShell({ env }));
    expect(await codeOf(["status"], { NEXUS_DATA_DIR: "/nonexistent" })).toBe(20);
    for (const entries of ["0", "101", "x"])
      expect(await codeOf(["status", "--entries", entries], daemon.env)).toBe(2);
    daemon.failures.set("GetStatus", new ConnectError("no", Code.PermissionDenied));
    expect(await codeOf(["status"], daemon.env)).toBe(1);
  });
});
