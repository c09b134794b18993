import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { run } from "../../../src/cli/program.js";
import { callFailure } from "../../../src/cli/shell/call_failure.js";
import { ErrorInfoSchema, RetryInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.js";
import {
  ConnectionStatus,
  type ListConnectionsRequest,
  ProviderRevocation,
} from "../../../src/gen/nexus/v1/connection_pb.js";
import type { TokenServiceGetTokenRequest } from "../../../src/gen/nexus/v1/token_pb.js";
import { connectionId, FakeDaemon, providerId } from "../fake_daemon.js";
import { ended, fakeShell, jsonLines, startMs } from "../fake_shell.js";

let daemon: FakeDaemon;

beforeEach(async () => {
  daemon = new FakeDaemon();
  await daemon.start();
});

afterEach(() => daemon.stop());

const shellOf = (given: Parameters<typeof fakeShell>[0] = {}) => fakeShell({ env: daemon.env, ...given });

describe("connections", () => {
  beforeEach(() => {
    daemon.addConnection({
      status: ConnectionStatus.ACTIVE,
      revision: 4n,
      expiresAt: timestampFromMs(startMs + 3_600_000),
      updatedAt: timestampFromMs(startMs - 180_000),
      grantedScopes: ["repo"],
      account: { subject: "1815", login: "ada", email: "ada@example.com" },
    });
    daemon.addConnection({
      id: "33333333-3333-4333-8333-333333333333",
      status: ConnectionStatus.ATTENTION,
      problem: { reason: "reauth_required", message: "Consent again." },
    });
  });

  it.each([[["connections"]], [["connections", "list"]]])("%j is a table", async (args) => {
    const shell = await ended(0, args, shellOf());
    const [header, first, second] = shell.out().split("\n");
    expect(header).toMatch(/^ID +PROVIDER +USER +STATUS +PROBLEM +TOKEN +ACCOUNT +UPDATED$/);
    expect(first).toMatch(/^3{8} +github +alice +attention +reauth_required$/);
    expect(second).toMatch(/^2{8} +github +alice +active +expires in 1h +ada@example.com +3m ago$/);
  });

  it("lists what needs a person first, then names, and what is over with --all or its --status alone", async () => {
    const more: [id: string, userId: string, status: ConnectionStatus][] = [
      ["a", "zoe", ConnectionStatus.ATTENTION],
      ["b", "ada", ConnectionStatus.ACTIVE],
      ["c", "ada", ConnectionStatus.REVOKED],
      ["d", "bob", ConnectionStatus.FAILED],
      ["e", "ada", ConnectionStatus.EXPIRED],
    ];
    for (const [id, userId, status] of more) daemon.addConnection({ id, userId, status });
    const ids = async (...flags: string[]): Promise<[ids: string, err: string]> => {
      const shell = await ended(0, ["connections", ...flags], shellOf());
      const [, ...rows] = shell.out().trimEnd().split("\n");
      return [rows.map(([id]) => id).join(""), shell.err()];
    };
    expect(await ids()).toEqual(["3dab2", "2 revoked or expired are not shown: give --all\n"]);
    expect(await ids("--all")).toEqual(["3dab2ec", ""]);
    expect(await ids("--status", "expired")).toEqual(["3dab2ec", ""]);
  });

  it("has colours at a terminal that may have them, and keeps to its width", async () => {
    const wide = await ended(0, ["connections"], shellOf({ outIsTTY: true, columns: 120 }));
    expect(wide.out()).toContain("\x1b[32mactive\x1b[39m");
    expect(wide.out()).toContain("\x1b[31mattention\x1b[39m");
    const plain = { ...daemon.env, NO_COLOR: "1" };
    const narrow = await ended(0, ["connections"], shellOf({ outIsTTY: true, columns: 80, env: plain }));
    const lines = narrow.out().trimEnd().split("\n");
    expect(lines.map((line) => line.length <= 80)).toEqual([true, true, true]);
    expect(narrow.out()).not.toContain("\x1b");
    expect(lines[1]).toMatch(/^3{4,8} +github/);
  });

  it("cuts neither the state nor its reason on 80 columns", async () => {
    daemon.addConnection({
      id: "44444444-4444-4444-8444-444444444444",
      userId: "somebody.with.a.long.name@example.com",
      status: ConnectionStatus.ATTENTION,
      problem: { reason: "refresh_failing", message: "It goes on." },
    });
    const narrow = await ended(
      0,
      ["connections"],
      shellOf({ outIsTTY: true, columns: 80, env: { ...daemon.env, NO_COLOR: "1" } }),
    );
    for (const reason of ["reauth_required", "refresh_failing"])
      expect(narrow.out()).toMatch(new RegExp(`^\\d{4}  github .* attention  ${reason}$`, "m"));
    for (const line of narrow.out().split("\n")) expect(line.length).toBeLessThanOrEqual(80);
  });

  it("shows one with its times, absolute and relative", async () => {
    const shell = await ended(0, ["connections", "show", connectionId.slice(0, 8)], shellOf());
    expect(shell.out()).toContain("2026-11-24T11:57:00Z (3m ago)\n");
  });

  it("filters at the daemon, the provider by name", async () => {
    daemon.addProvider();
    const shell = shellOf();
    const args = ["--user", "alice", "--provider", "github", "--status", "attention", "--json"];
    expect(await run(["connections", ...args], shell)).toBe(0);
    expect(daemon.got<ListConnectionsRequest>("ListConnections")[0]).toMatchObject({
      userId: "alice",
      providerId,
      status: ConnectionStatus.ATTENTION,
    });
    expect(jsonLines(shell.out())[0]).toMatchObject({
      status: "CONNECTION_STATUS_ATTENTION",
      provider_name: "github",
    });
  });

  it("says that a key is for another user than the one whose list is empty", async () => {
    daemon.connections.splice(0);
    daemon.usersOfKey = ["ada"];
    const { err } = await ended(1, ["connections", "--user", "bob"], shellOf());
    expect(err()).toBe("nexusd: cannot list the connections: this key is for user ada; you asked for bob\n");
    await ended(0, ["connections", "--user", "ada"], shellOf());
  });

  it("shows one", async () => {
    const shell = await ended(0, ["connections", "show", connectionId], shellOf());
    expect(shell.out()).toMatch(/^status +active$/m);
    expect(shell.out()).toMatch(/^scopes +repo$/m);
    const json = shellOf();
    await run(["connections", "show", connectionId, "--json"], json);
    expect(jsonLines(json.out())).toMatchObject([{ id: connectionId, revision: "4" }]);
  });

  it("revokes and deletes, asking a person first, and a script for --yes", async () => {
    for (const verb of ["revoke", "delete"]) {
      const asked = shellOf({ answers: ["no"] });
      expect(await run(["connections", verb, connectionId], asked)).toBe(1);
      const [{ question } = { question: "" }] = asked.questions;
      expect(question.split("?")[0]).toBe(
        `${verb.replace(/^./, (first) => first.toUpperCase())} the connection of alice to github (ada@example.com, active, ${connectionId.slice(0, 8)})`,
      );
      expect(question).toMatch(/Agents lose it at once, .* This is final\. \[y\/N\] $/);
      const script = await ended(2, ["connections", verb, connectionId], shellOf());
      expect(script.err()).toContain("--yes");
      const shell = await ended(0, ["connections", verb, connectionId, "--yes"], shellOf());
      expect(shell.out()).toBe(`${connectionId} is ${verb}d\n`);
    }
    expect(daemon.got("RevokeConnection")).toHaveLength(1);
    expect(daemon.got("DeleteConnection")).toHaveLength(1);
  });

  it.each([
    [ProviderRevocation.NOT_NEEDED, "the provider had nothing to revoke"],
    [ProviderRevocation.PENDING, "the provider has not answered yet, the daemon goes on asking it"],
    [ProviderRevocation.DONE, "the provider revoked its token too"],
    [
      ProviderRevocation.NOT_POSSIBLE,
      "the grant could not be revoked at the provider, where its token is valid until it expires",
    ],
  ])("says after a revocation what the provider knows: %s", async (providerRevocation, words) => {
    const id = "44444444-4444-4444-8444-444444444444";
    daemon.addConnection({ id, status: ConnectionStatus.REVOKED, providerRevocation });
    const shell = await ended(0, ["connections", "revoke", id, "--yes"], shellOf());
    expect(shell.out()).toContain(`${id} is revoked: ${words}`);
    const later = await ended(0, ["connections", "show", id], shellOf());
    expect(later.out()).toContain(words);
  });

  it.each([
    [["connections", "--status", "fine"], "pending, active"],
    [["token"], "missing required argument 'connection'\nusage: nexusd token <connection>"],
    [["keys", "revoke"], "usage: nexusd keys revoke <name>"],
    [["token", connectionId, "--min-ttl", "60"], "is not a duration"],
  ])("%j is refused with 2", async (args, text) => {
    const shell = await ended(2, args, shellOf());
    expect(shell.err()).toContain(text);
  });
});

describe("token", () => {
  beforeEach(() => {
    daemon.api.tokens = {
      getToken: () => ({
        token: {
          strategy: { kind: { case: "oauth2", value: { credentialField: "access_token" } } },
          credentials: { access_token: "L1ve" },
          revision: 2n,
        },
      }),
    };
  });

  // The routes are bound at the start.
  const restart = async () => {
    const { tokens } = daemon.api;
    await daemon.stop();
    daemon = new FakeDaemon();
    daemon.api.tokens = tokens;
    await daemon.start();
  };

  it("prints the access token and nothing else", async () => {
    await restart();
    const shell = await ended(0, ["token", connectionId, "--min-ttl", "1m"], shellOf());
    expect([shell.out(), shell.err()]).toEqual(["L1ve\n", ""]);
    expect(daemon.got<TokenServiceGetTokenRequest>("GetToken")[0]).toMatchObject({
      connectionId,
      minTtl: { seconds: 60n },
    });
  });

  it("prints all of it with --json", async () => {
    await restart();
    const shell = shellOf();
    await run(["token", connectionId, "--json"], shell);
    expect(jsonLines(shell.out())).toEqual([
      {
        strategy: { oauth2: { credential_field: "access_token" } },
        credentials: { access_token: "L1ve" },
        revision: "2",
      },
    ]);
  });

  it.each([
    ["header", { case: "header", value: { credentialField: "api_key" } }, { api_key: "L1ve", note: "x" }],
    ["queryParam", { case: "queryParam", value: { credentialField: "key" } }, { key: "L1ve", note: "x" }],
    ["hmacPayload", { case: "hmacPayload", value: { secretField: "s" } }, { s: "L1ve" }],
    ["no strategy", { case: undefined }, { whatever: "L1ve" }],
  ] as const)(
    "prints the one value of a credential with %s, as openai's key",
    async (_name, kind, credentials) => {
      daemon.api.tokens = { getToken: () => ({ token: { strategy: { kind }, credentials } }) };
      await restart();
      const shell = await ended(0, ["token", connectionId], shellOf());
      expect([shell.out(), shell.err()]).toEqual(["L1ve\n", ""]);
    },
  );

  it("prints nothing when the credential is not one token", async () => {
    daemon.api.tokens = { getToken: () => ({ token: { credentials: { username: "u", password: "p" } } }) };
    await restart();
    const shell = await ended(1, ["token", connectionId], shellOf());
    expect(shell.out()).toBe("");
    expect(shell.err()).toContain("it has the fields password, username: name one");
  });

  it.each(["ATTENTION_REQUIRED", "CONNECTION_PENDING", "CONNECTION_REVOKED"])(
    "ends with 22 for %s",
    async (reason) => {
      const detail = { desc: ErrorInfoSchema, value: { reason, domain: "nexus" } };
      const failure = new ConnectError("consent is needed", Code.FailedPrecondition, undefined, [detail]);
      daemon.failures.set("GetToken", failure);
      const shell = await ended(22, ["token", connectionId], shellOf());
      expect(shell.out()).toBe("");
      expect(shell.err()).toContain(`cannot read the token of ${connectionId}: consent is needed\n`);
      expect(shell.err()).toContain("nexusd connect");
    },
  );

  it("says that the provider must be there again first, where it was deleted", async () => {
    const metadata = { problem: "provider_deleted" };
    const value = { reason: "ATTENTION_REQUIRED", domain: "nexus.v1", metadata };
    const failure = new ConnectError("deleted", Code.FailedPrecondition, undefined, [
      { desc: ErrorInfoSchema, value },
    ]);
    daemon.failures.set("GetToken", failure);
    const shell = await ended(22, ["token", connectionId], shellOf());
    expect(shell.err()).toContain("add the provider again under its name, then");
  });

  it("says when to try again", async () => {
    const detail = { desc: RetryInfoSchema, value: { retryDelay: { seconds: 7n, nanos: 0 } } };
    daemon.failures.set("GetToken", new ConnectError("down", Code.Unavailable, undefined, [detail]));
    const shell = await ended(1, ["token", connectionId], shellOf());
    expect(shell.err()).toBe(`nexusd: cannot read the token of ${connectionId}: down\ntry again in 7s\n`);
  });
});

describe("the way to the daemon", () => {
  it("ends with 20 when nobody is there", async () => {
    const { socketPath } = daemon;
    await daemon.stop();
    for (const args of [["token", connectionId], ["connections"], ["provider", "list"]]) {
      const shell = await ended(20, args, shellOf());
      expect(shell.err()).toMatch(
        /^nexusd: cannot .* not reachable at unix:.*: is `nexusd serve` running\?\n/,
      );
      expect(shell.err()).toContain(socketPath);
    }
  });

  it("does not call a socket that this user may not use a daemon that is away", () => {
    const cause = Object.assign(new Error("connect EACCES"), { code: "EACCES" });
    const failure = callFailure(
      new ConnectError("no", Code.Unavailable, undefined, undefined, cause),
      "x",
      "unix:/s",
    );
    expect(failure.exitCode).toBe(20);
    expect(failure.message).toMatch(
      /may not connect to unix:\/s \(EACCES\): run the command as the user of the daemon/,
    );
    expect(failure.message).not.toContain("running");
  });

  it("shows the key on TCP, and says where it is when it is refused", async () => {
    const tcp = new FakeDaemon();
    const port = await tcp.start("tcp");
    const env = { NEXUS_ADDRESS: `http://127.0.0.1:${port}`, NEXUS_API_KEY: "k3y" };
    expect(await run(["provider", "list"], shellOf({ env }))).toBe(0);
    expect(tcp.requests[0]?.authorization).toBe("Bearer k3y");
    tcp.failures.set("ListProviders", new ConnectError("no valid key", Code.Unauthenticated));
    const shell = await ended(1, ["provider", "list"], shellOf({ env }));
    expect(shell.err()).toContain("admin.key");
    expect(shell.err()).not.toContain("k3y");
    await tcp.stop();
  });

  it("ends with 2 when the key or the address cannot be used", async () => {
    for (const env of [
      { NEXUS_ADDRESS: "http://127.0.0.1:1", NEXUS_API_KEY_FILE: "/nonexistent" },
      { NEXUS_ADDRESS: "elsewhere" },
    ]) {
      const shell = await ended(2, ["connections"], shellOf({ env }));
      expect(shell.err()).toMatch(/NEXUS_A/);
    }
  });
});
