import { hostname } from "node:os";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { beforeEach, describe, expect, it } from "vitest";
import { judgeConsent } from "../../../src/cli/connections/consent_wait.js";
import { run } from "../../../src/cli/program.js";
import { ErrorInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.js";
import {
  type Connection,
  ConnectionSchema,
  type ConnectionServiceRequestConnectionRequest,
  ConnectionStatus,
  ProblemSchema,
} from "../../../src/gen/nexus/v1/connection_pb.js";
import { ClientRegistration, type CreateProviderRequest } from "../../../src/gen/nexus/v1/provider_pb.js";
import { perTest } from "../../lifetimes.js";
import { connectionId, FakeDaemon, providerId, redirectUri } from "../fake_daemon.js";
import { ended, fakeShell, jsonLines, startMs } from "../fake_shell.js";

const expiresAtMs = startMs + 600_000;
const expiresAt = timestampFromMs(expiresAtMs);
const authUrl = "http://localhost:8080/auth/start?state=abc";
const daemon = perTest(() => new FakeDaemon());

/** The connection as it is at each message of the stream. */
function play(...steps: MessageInitShape<typeof ConnectionSchema>[]): Promise<void> {
  return playWith(redirectUri, steps);
}

/** @param redirectUri empty for a provider of static keys */
async function playWith(
  redirectUri: string,
  steps: readonly MessageInitShape<typeof ConnectionSchema>[],
): Promise<void> {
  daemon.api.connections = {
    requestConnection: (request) => {
      if (daemon.connections.length === 0) daemon.addConnection();
      Object.assign(daemon.connections[0] ?? {}, { requestExpiresAt: expiresAt });
      const id = request.connectionId || connectionId;
      const scopes = ["repo"];
      return { authUrl, state: "abc", scopes, providerId, connectionId: id, expiresAt, redirectUri };
    },
  };
  daemon.watch = async function* () {
    for (const step of steps) {
      Object.assign(daemon.connections[0] ?? {}, step);
      yield { event: { case: "state", value: { connectionId } } };
      yield { event: { case: "bookmark", value: { position: { epoch: "e", revision: 1n } } } };
    }
  };
  await daemon.start();
}

const shellOf = (given: Parameters<typeof fakeShell>[0] = {}) => fakeShell({ env: daemon.env, ...given });
const pending = { status: ConnectionStatus.PENDING, requestExpiresAt: expiresAt };
const active = {
  status: ConnectionStatus.ACTIVE,
  revision: 1n,
  requestExpiresAt: undefined,
  grantedScopes: ["repo"],
};

describe("connect", () => {
  it("prints the URL, waits and shows the result", async () => {
    await play(pending, pending, { ...active, expiresAt: timestampFromMs(startMs + 3_600_000) });
    const shell = shellOf();
    const args = [
      "connect",
      "GitHub",
      "--return-url",
      "https://a.example",
      "--scopes",
      "repo,user",
      "--scope",
      "gist",
    ];
    expect(await run(args, shell)).toBe(0);
    const [request] = daemon.got<ConnectionServiceRequestConnectionRequest>("RequestConnection");
    expect(request).toMatchObject({
      userId: "alice",
      provider: { case: "providerName", value: "github" },
      scopes: ["repo", "user", "gist"],
      returnUrl: "https://a.example",
      connectionId: "",
    });
    expect(shell.out()).toContain(`\n  ${authUrl}\n`);
    expect(shell.out()).toContain("Connected to github: for alice, scopes repo, expires in 1h\n");
    expect(shell.opened).toEqual([]);
  });

  it("takes the beginning of a provider's id, after its name", async () => {
    daemon.addProvider({ id: providerId, name: "github" });
    daemon.addProvider({ id: "22222222-2222-4111-8111-111111111111", name: "beef" });
    await play(pending, active);
    for (const text of [providerId.slice(0, 8), "beef"]) {
      daemon.connections.splice(0);
      await run(["connect", text], shellOf());
    }
    const requests = daemon.got<ConnectionServiceRequestConnectionRequest>("RequestConnection");
    expect(requests.map(({ provider }) => provider.value)).toEqual([providerId, "beef"]);
  });

  it("reads the token by the name where it names the connection, or else by its id", async () => {
    await play(pending, active);
    const shell = await ended(0, ["connect", "github", "--user", "alice"], shellOf());
    expect(shell.out()).toMatch(/\nRead the token: nexusd token github\/alice\n$/);
  });

  it.each([
    ["leads nowhere", { providerName: "Renamed" }],
    ["is not printed as it is", { userId: "a\u202eb" }],
  ])("reads the token by the id where the name %s", async (_why, fields) => {
    daemon.addConnection(fields);
    await play(pending, active);
    const shell = await ended(0, ["connect", "--connection", connectionId], shellOf());
    expect(shell.out()).toMatch(new RegExp(`nexusd token ${connectionId}\\n$`));
  });

  it.each([
    ["the client ID", undefined, "the client ID abc, and this redirect URI"],
    [
      "no client ID to a caller who may not read it",
      Code.PermissionDenied,
      "the client ID, and this redirect URI",
    ],
  ])("says at once what to compare where the provider shows an error: %s", async (_what, code, text) => {
    daemon.addProvider({ clientId: "abc" });
    if (code !== undefined) daemon.failures.set("GetProvider", new ConnectError("no", code));
    await play(pending, { status: ConnectionStatus.EXPIRED, requestExpiresAt: undefined });
    const shell = await ended(21, ["connect", "github"], shellOf());
    expect(shell.out()).toMatch(/Waiting until .*\nIf the provider shows an error, compare/);
    expect(shell.out()).toContain(`${text}, character by character:\n\n  ${redirectUri}\n\n`);
    expect(shell.err()).toContain("nexusd: not connected: nobody consented in time\n");
  });

  it.each([
    ["consent", redirectUri],
    ["enter the key", ""],
  ])("says that the URL is there to %s", async (purpose, uri) => {
    await playWith(uri, [pending, active]);
    const shell = await ended(0, ["connect", "github", "--no-open"], shellOf());
    expect(shell.out()).toContain(`Open this URL in a browser to ${purpose}:\n`);
    // What is piped in is not read.
    expect(shell.out().includes("nexusd connections import PROVIDER --file FILE")).toBe(uri === "");
  });

  it.each([[[]], [["--json"]]])("warns when no refresh token came: %j", async (more) => {
    await play(pending, { ...active, refreshable: false, expiresAt: timestampFromMs(startMs + 3_600_000) });
    const shell = await ended(0, ["connect", "github", ...more], shellOf());
    expect(shell.err()).toBe(
      "warning: no refresh token came: the token expires in 1h, and the user must consent again then. Many providers issue one for the scope offline_access, or for a parameter: nexusd provider update github --param access_type=offline\n",
    );
  });

  it("warns when scopes were dropped", async () => {
    await play(pending, { ...active, requestedScopes: ["repo", "user", "gist"] });
    const shell = await ended(0, ["connect", "github"], shellOf());
    expect(shell.err()).toBe("warning: the provider did not grant the scopes user gist\n");
  });

  it.each([
    ["the token does not end", { ...active, requestedScopes: ["repo"] }],
    [
      "it can be refreshed",
      { ...active, refreshable: true, expiresAt: timestampFromMs(startMs + 3_600_000) },
    ],
  ])("warns of nothing when all scopes are granted and %s", async (_name, end) => {
    await play(pending, end);
    const shell = await ended(0, ["connect", "github"], shellOf());
    expect(shell.err()).toBe("");
  });

  it("opens the browser for a person, unless told not to", async () => {
    daemon.addProvider();
    await play(active);
    const person = await ended(0, ["connect", providerId], shellOf({ outIsTTY: true }));
    daemon.connections.splice(0);
    expect(person.opened).toEqual([authUrl]);
    const [request] = daemon.got<ConnectionServiceRequestConnectionRequest>("RequestConnection");
    expect(request?.provider).toEqual({ case: "providerId", value: providerId });
    const shy = await ended(0, ["connect", "github", "--no-open"], shellOf({ outIsTTY: true }));
    expect(shy.opened).toEqual([]);
    daemon.connections.splice(0);
    const headless = await ended(0, ["connect", "github"], shellOf({ outIsTTY: true, browserFails: true }));
    expect(headless.err()).toContain("by hand");
    expect(headless.out()).toContain(`ssh -N -L 8080:localhost:8080 alice@${hostname()}`);
  });

  it("opens no browser over SSH, and says how a browser elsewhere gets here", async () => {
    await play(pending, active);
    const env = { ...daemon.env, SSH_CONNECTION: "203.0.113.9 50000 192.0.2.7 22" };
    const shell = await ended(0, ["connect", "github"], shellOf({ outIsTTY: true, env }));
    expect(shell.opened).toEqual([]);
    expect(shell.out()).toContain("\n\n  ssh -N -L 8080:localhost:8080 alice@192.0.2.7\n\n");
    expect(shell.out()).toContain("--paste");
  });

  it("takes no paste without a terminal", async () => {
    await play(pending, active);
    const shell = await ended(2, ["connect", "github", "--paste"], shellOf());
    expect(shell.err()).toContain("--paste needs a terminal");
  });

  it("prints the request and the result as JSON", async () => {
    await play(pending, active);
    const shell = await ended(
      0,
      ["connect", "github", "--json", "--user", "bob"],
      shellOf({ outIsTTY: true }),
    );
    expect(jsonLines(shell.out())).toMatchObject([
      { auth_url: authUrl, connection_id: connectionId },
      { id: connectionId, status: "CONNECTION_STATUS_ACTIVE" },
    ]);
    expect(shell.opened).toEqual([]);
  });

  it.each([
    [
      {
        status: ConnectionStatus.FAILED,
        problem: create(ProblemSchema, { reason: "access_denied", message: "Denied." }),
      },
      "Denied. (access_denied)\nconsent again: nexusd connect github/alice\n",
    ],
    [
      { status: ConnectionStatus.EXPIRED },
      "nobody consented in time\nconsent again: nexusd connect github/alice\n",
    ],
    [{ status: ConnectionStatus.REVOKED }, "revoked"],
  ])("ends with 21: %j", async (end, text) => {
    await play(pending, { ...end, requestExpiresAt: undefined } as MessageInitShape<typeof ConnectionSchema>);
    const shell = await ended(21, ["connect", "github"], shellOf());
    expect(shell.err()).toContain(`nexusd: not connected: `);
    expect(shell.err()).toContain(text);
  });

  it.each([
    [
      "names the users of a key that is for others",
      ["http1"],
      "cannot connect to github: this key is for user http1; you asked for alice: give --user\n",
    ],
    [
      "says what the key may do where the user is its own",
      ["http1", "ali*"],
      "permission denied\nwhat this key may do: nexusd whoami\n",
    ],
  ])("%s", async (_what, userIds, text) => {
    daemon.failures.set("RequestConnection", new ConnectError("permission denied", Code.PermissionDenied));
    daemon.api.access = { whoAmI: () => ({ principal: "key:a", restrictions: [{ userIds }] }) };
    await daemon.start();
    const shell = await ended(1, ["connect", "github"], shellOf());
    expect(shell.err()).toContain(text);
  });

  it.each([
    ["how to end the link", ["github"], `to end it: nexusd connections delete ${connectionId} --yes`],
    ["what replaces it", ["--connection", connectionId], "another nexusd connect replaces it"],
  ])("says %s to who interrupts it", async (_what, args, end) => {
    if (args.includes("--connection")) daemon.addConnection({ status: ConnectionStatus.ACTIVE });
    await play(pending, active);
    const shell = shellOf();
    await run(["connect", ...args], shell);
    const until = new Date(expiresAtMs).toTimeString().slice(0, 8);
    expect(shell.lasts).toEqual([`\nThe link goes on working until ${until}; ${end}\n`]);
  });

  it("asks again under the id of a connection", async () => {
    daemon.addConnection({ status: ConnectionStatus.ATTENTION, revision: 3n });
    await play({}, { ...active, revision: 4n });
    await ended(0, ["connect", "--connection", connectionId], shellOf());
    const [request] = daemon.got<ConnectionServiceRequestConnectionRequest>("RequestConnection");
    expect(request).toMatchObject({ connectionId, userId: "", provider: { case: undefined } });
  });

  it.each([
    ["access_denied", "No. (access_denied)"],
    ["account_changed", "No. (account_changed)"],
    ["consent_expired", "nobody consented in time"],
  ])("says why a second consent brought nothing: %s", async (reason, sentence) => {
    daemon.addConnection({ status: ConnectionStatus.ACTIVE, revision: 3n });
    const requestProblem = create(ProblemSchema, { reason, message: "No." });
    await play({}, { requestExpiresAt: undefined, requestProblem } as never);
    const shell = await ended(21, ["connect", "--connection", connectionId], shellOf());
    expect(shell.err()).toBe(`nexusd: not connected: ${sentence}; the connection is as it was\n`);
  });

  it("names the template that is meant where no provider is like it", async () => {
    await play();
    daemon.templates.push("github", "gitlab");
    daemon.failures.set("RequestConnection", new ConnectError("provider not found", Code.NotFound));
    const shell = await ended(1, ["connect", "githb"], shellOf());
    expect(shell.err()).toContain(
      "\nsee nexusd provider list; a template is called github: nexusd provider add github\n",
    );
  });

  it("wants a provider or a connection, and a user", async () => {
    await play();
    expect(await run(["connect"], shellOf())).toBe(2);
    const nameless = shellOf({
      userName: () => {
        throw new Error("no name");
      },
    });
    expect(await run(["connect", "github"], nameless)).not.toBe(0);
  });
});

describe("connect with a name that a connection has", () => {
  const again = { ...active, revision: 4n };
  const asked = () => daemon.got<ConnectionServiceRequestConnectionRequest>("RequestConnection")[0];

  it.each([
    [["github"]],
    [[providerId]],
    [["GitHub", "--user", "alice"]],
    [["github/alice"]],
    [["github/alice", "--user", "alice"]],
  ])("asks for that connection again, and says so: %j", async (args) => {
    daemon.addProvider();
    daemon.addConnection({ status: ConnectionStatus.ATTENTION, revision: 3n });
    await play({}, again);
    const shell = await ended(0, ["connect", ...args, "--scope", "wide"], shellOf());
    expect(asked()).toMatchObject({ connectionId, userId: "alice", scopes: ["wide"] });
    expect(shell.out()).toMatch(
      /^github\/alice already exists \(attention\): requesting consent again\. For another account, use --label\n/,
    );
  });

  it.each([
    ["was revoked", { status: ConnectionStatus.REVOKED }],
    ["is another account's", { label: "work" }],
    ["is another user's", { userId: "bob" }],
  ])("makes a new one beside a connection that %s", async (_why, fields) => {
    daemon.addConnection(fields);
    await play(pending, active);
    const shell = await ended(0, ["connect", "github"], shellOf());
    expect(asked()).toMatchObject({ connectionId: "", userId: "alice", label: "" });
    expect(shell.out()).not.toContain("already");
  });

  it("takes PROVIDER/USER/LABEL for a new one too", async () => {
    await play(pending, active);
    expect(await run(["connect", "github/b%2Fob/work"], shellOf())).toBe(0);
    expect(asked()).toMatchObject({
      connectionId: "",
      provider: { case: "providerName", value: "github" },
      userId: "b/ob",
      label: "work",
    });
  });

  it.each([
    [["github/alice", "--user", "bob"], "leave out --user"],
    [["github/alice", "--label", "work"], "leave out --label"],
    [["github/alice", "--connection", connectionId], "leave out --connection"],
    [["github/"], "names no connection: write PROVIDER/USER"],
    [["github/a/b/c"], "names no connection"],
  ])("refuses %j", async (args, says) => {
    await play(pending, active);
    const shell = await ended(2, ["connect", ...args], shellOf());
    expect(shell.err()).toContain(says);
    expect(daemon.got("RequestConnection")).toEqual([]);
  });
});

describe("judgeConsent", () => {
  const again = { connectionId, expiresAtMs, revisionBefore: 3n };
  const judge = (fields: MessageInitShape<typeof ConnectionSchema>, nowMs = startMs) =>
    judgeConsent(create(ConnectionSchema, fields) as Connection, again, nowMs)?.kind;

  it("does not take a background refresh for a consent", () => {
    const refreshed = { status: ConnectionStatus.ACTIVE, revision: 4n };
    expect(judge({ ...refreshed, requestExpiresAt: expiresAt })).toBeUndefined();
    expect(judge(refreshed)).toBe("connected");
  });

  it.each([
    ["authorization_failed", "the user declined (authorization_failed); the connection is as it was"],
    ["account_changed", "the user declined (account_changed); the connection is as it was"],
    ["consent_expired", "nobody consented in time; the connection is as it was"],
  ])("takes no refresh for a consent that ended with %s", (reason, sentence) => {
    const requestProblem = create(ProblemSchema, { reason, message: "the user declined" });
    const declined = { status: ConnectionStatus.ACTIVE, revision: 4n, requestProblem };
    const connection = create(ConnectionSchema, declined) as Connection;
    expect(judgeConsent(connection, again, startMs)).toEqual({ kind: "failed", sentence, connection });
    // The newest request is another one, which is still pending.
    expect(judge({ ...declined, requestExpiresAt: expiresAt })).toBeUndefined();
  });

  it("ends when a newer request takes its place, or when its own time is long over", () => {
    const waiting = { status: ConnectionStatus.ATTENTION, revision: 3n };
    expect(judge({ ...waiting, requestExpiresAt: timestampFromMs(expiresAtMs + 1) })).toBe("failed");
    expect(judge({ ...waiting, requestExpiresAt: expiresAt }, expiresAtMs + 30_001)).toBe("failed");
    expect(judge({ ...waiting, requestExpiresAt: expiresAt }, expiresAtMs + 1)).toBeUndefined();
  });

  it("ends when the connection is gone", () => {
    expect(judgeConsent(undefined, again, startMs)?.kind).toBe("failed");
  });
});

describe("connect with the URL of an MCP server", () => {
  const url = "https://mcp.example.com/mcp";
  const made = { name: "mcp-example-com", mcpServerUrl: url, issuer: "https://login.example.com" };
  beforeEach(() => {
    daemon.api.providers = {
      createProvider: ({ mcpServerUrl }) => ({
        provider: { ...made, mcpServerUrl, clientRegistration: ClientRegistration.DYNAMIC },
      }),
    };
  });

  it("has the daemon make the provider, says which, and asks for consent to it", async () => {
    await play(pending, active);
    const shell = await ended(0, ["connect", url], shellOf());
    expect(daemon.got<CreateProviderRequest>("CreateProvider")[0]).toMatchObject({ mcpServerUrl: url });
    expect(daemon.got<CreateProviderRequest>("CreateProvider")[0]?.provider).toBeUndefined();
    expect(shell.out()).toMatch(
      /^The provider mcp-example-com is for https:\/\/mcp\.example\.com\/mcp: authorization server https:\/\/login\.example\.com, registered there by the daemon\n/,
    );
    const [request] = daemon.got<ConnectionServiceRequestConnectionRequest>("RequestConnection");
    expect(request?.provider).toEqual({ case: "providerName", value: "mcp-example-com" });
  });

  it("prints nothing but JSON with --json", async () => {
    await play(pending, active);
    const shell = await ended(0, ["connect", url, "--json"], shellOf());
    expect(jsonLines(shell.out())).toHaveLength(2);
  });

  it("gives the client that a person registered", async () => {
    await play(pending, active);
    const shell = await ended(
      0,
      ["connect", url, "--client-id", "mine", "--client-secret-file", "-"],
      shellOf({ piped: "hush\n" }),
    );
    expect(daemon.got<CreateProviderRequest>("CreateProvider")[0]?.provider).toMatchObject({
      clientId: "mine",
      clientSecret: "hush",
    });
    expect(shell.out() + shell.err()).not.toContain("hush");
  });

  it.each([
    [["github", "--client-id", "mine"], "go with the URL of an MCP server"],
    [[url, "--client-secret-file", "-"], "--client-secret-file needs --client-id"],
  ])("refuses %j", async (args, says) => {
    await play(pending, active);
    const shell = await ended(2, ["connect", ...args], shellOf({ piped: "hush" }));
    expect(shell.err()).toContain(says);
    expect(daemon.got("CreateProvider")).toEqual([]);
  });

  it("says what a person does where the server registers no clients", async () => {
    await play(pending, active);
    const failure = new ConnectError(
      "the authorization server registers no clients by itself",
      Code.FailedPrecondition,
    );
    failure.details = [
      { desc: ErrorInfoSchema, value: create(ErrorInfoSchema, { reason: "CLIENT_REGISTRATION_REQUIRED" }) },
    ];
    daemon.failures.set("CreateProvider", failure);
    const shell = await ended(1, ["connect", url], shellOf());
    expect(shell.err()).toContain("registers no clients by itself");
    expect(shell.err()).toContain("nexusd connect <url> --client-id <id> --client-secret-file <file>");
  });
});
