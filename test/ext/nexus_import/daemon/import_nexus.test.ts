import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, it } from "vitest";
import { ConnectionStatus } from "../../../../src/gen/nexus/v1/connection_pb.js";
import { ended, type FakeShell, fakeShell } from "../../../cli/fake_shell.js";
import { foreignRefreshToken } from "../../../daemon/foreign_token.js";
import { World } from "../../../daemon/harness.js";
import { perTest } from "../../../lifetimes.js";
import { needs } from "../../../needs.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { FakeNexus } from "./fake_nexus.js";

beforeEach((context) => needs(context, "postgresql"));

const world = perTest(() => World.make());
const nexus = perTest(() => FakeNexus.start());

interface Line {
  readonly kind: string;
  readonly name: string;
  readonly result: string;
  readonly message: string;
}

async function imported(code: number, ...more: string[]): Promise<{ shell: FakeShell; lines: Line[] }> {
  const keyFile = join(temporaryFolder(), "key");
  writeFileSync(keyFile, `${nexus.key}\n`);
  const env = { NEXUS_DATA_DIR: world.place.config.dataDir };
  const flags = ["--broker", nexus.url, "--key-file", keyFile, "--database", nexus.postgres.url()];
  const shell = await ended(code, ["import", "nexus", "--json", ...flags, ...more], fakeShell({ env }));
  const lines = shell
    .out()
    .split("\n")
    .filter((line) => line !== "");
  return { shell, lines: lines.map((line) => JSON.parse(line) as Line) };
}

const countOf = (lines: readonly Line[], kind: string, result: string): number =>
  lines.filter((line) => line.kind === kind && line.result === result).length;

/** A provider that rotates, one without refresh tokens, and static ones; 50 connections, as a Nexus has them. */
async function populate() {
  const { issuer, clients } = world.provider;
  const { clientId, clientSecret } = clients.post;
  const client = { client_id: clientId, client_secret: clientSecret };
  const op = await nexus.provider({
    name: "OP",
    issuer,
    enable_discovery: true,
    ...client,
    scopes: ["read"],
  });
  const git = await nexus.provider({
    ...{ name: "github", client_id: "git", client_secret: "s" },
    ...{
      auth_url: "https://github.com/login/oauth/authorize",
      token_url: "https://github.com/login/oauth/access_token",
    },
  });
  const keys = await nexus.provider({
    ...{
      name: "keys",
      auth_type: "api_key",
      auth_header: "X-API-Key",
      api_base_url: "https://api.example.com",
    },
  });
  const login = await nexus.provider({ name: "login", auth_type: "basic_auth" });
  const gone = await nexus.provider({
    name: "gone",
    auth_type: "api_key",
    deleted_at: "2026-01-01T00:00:00Z",
  });
  const ids: string[] = [];
  const strategy = { type: "oauth2", config: {} };
  for (let index = 0; index < 20; index++) {
    const refreshToken = await foreignRefreshToken(world.provider, world.place.config.redirectUri);
    const credentials = { access_token: "theirs", refresh_token: refreshToken, scope: "openid read" };
    const row = { workspace_id: `user-${index}`, provider_id: op, scopes: ["read"] };
    ids.push(await nexus.connection(row, { strategy, credentials, ...credentials }));
  }
  for (let index = 0; index < 6; index++) {
    const credentials = { access_token: `gho_${index}`, scope: "repo" };
    const row = { workspace_id: `user-${index}`, provider_id: git, scopes: ["repo"] };
    ids.push(await nexus.connection(row, { strategy, credentials, ...credentials }));
  }
  for (let index = 0; index < 14; index++) {
    const [provider, credentials] =
      index % 2 ? [keys, { api_key: "k" }] : [login, { username: "u", password: "" }];
    const row = { workspace_id: `user-${index}`, provider_id: provider };
    const grant = {
      strategy: { type: "header", config: {} },
      credentials: { ...credentials, expires_at: "9999-01-01T00:00:00Z" },
    };
    ids.push(await nexus.connection(row, grant));
  }
  const others = [];
  for (const status of ["pending", "failed", "attention", "superseded", "revoked"])
    others.push(await nexus.connection({ workspace_id: "ada", provider_id: op, status }));
  others.push(
    await nexus.connection({ workspace_id: "ada", provider_id: gone }, { credentials: { api_key: "k" } }),
  );
  const expired = { access_token: "old", expires_at: "2020-01-01T00:00:00Z" };
  const dead = await nexus.connection(
    { workspace_id: "ada", provider_id: op },
    { strategy, credentials: expired },
  );
  const lost = await nexus.connection({ workspace_id: "bob", provider_id: op });
  const refused = { refresh_token: "unknown" };
  const unknown = await nexus.connection(
    { workspace_id: "cy", provider_id: op },
    { strategy, credentials: refused },
  );
  return { ids, others, failing: [dead, lost, unknown] };
}

it("moves what a Nexus has in one command, with its ids, and can run again", {
  timeout: 120_000,
}, async () => {
  const { ids, others, failing } = await populate();
  const dry = await imported(1, "--dry-run");
  expect(dry.shell.err()).toContain("nothing was changed");
  expect((await world.clients.connections.listConnections({})).connections).toEqual([]);
  expect((await world.clients.providers.listProviders({})).providers).toEqual([]);

  const first = await imported(1);
  expect(countOf(first.lines, "provider", "created")).toBe(4);
  expect(countOf(first.lines, "connection", "imported")).toBe(ids.length);
  const skipped = first.lines.filter(({ kind, result }) => kind === "connection" && result === "skipped");
  expect(skipped.map(({ name }) => name).sort()).toEqual([...others].sort());
  const failed = first.lines.filter(({ result }) => result === "failed");
  expect(failed.map(({ name }) => name).sort()).toEqual([...failing].sort());
  expect(failed.map(({ message }) => message)).toEqual([
    expect.stringContaining("the user must consent again"),
    expect.stringContaining("the user must consent again"),
    expect.stringContaining("the provider refuses the refresh token"),
  ]);
  expect(first.lines).toContainEqual(
    expect.objectContaining({
      kind: "provider",
      name: "op",
      message: expect.stringContaining("its name was OP"),
    }),
  );

  for (const [index, connectionId] of ids.entries()) {
    const { connection } = await world.clients.connections.getConnection({ connectionId });
    expect(connection).toMatchObject({ id: connectionId, status: ConnectionStatus.ACTIVE });
    const { token } = await world.clients.tokens.getToken({ connectionId });
    if (index < 20) expect(token?.credentials["access_token"]).not.toBe("theirs");
    else if (index < 26) expect(token?.credentials).toEqual({ access_token: `gho_${index - 20}` });
    else
      expect(Object.keys(token?.credentials ?? {}).sort()).toEqual(
        index % 2 ? ["api_key"] : ["password", "username"],
      );
  }
  const refreshes = () =>
    world.provider.tokenRequests.filter(({ grantType }) => grantType === "refresh_token").length;
  const before = refreshes();
  nexus.reads.length = 0;
  const second = await imported(1);
  expect(countOf(second.lines, "connection", "present")).toBe(ids.length);
  expect(countOf(second.lines, "provider", "present")).toBe(4);
  expect(countOf(second.lines, "connection", "failed")).toBe(3);
  // The broker is asked for none that is there, and no token is sent a second time but the refused one.
  expect([...nexus.reads].sort()).toEqual([...failing].sort());
  expect(refreshes()).toBe(before + 1);
  for (const secret of ["theirs", "gho_", nexus.key, world.provider.clients.post.clientSecret])
    for (const { shell } of [dry, first, second]) expect(shell.out() + shell.err()).not.toContain(secret);
});

it("makes a provider whose endpoints stand beside discovery with these endpoints", async () => {
  const { issuer, clients } = world.provider;
  const client = { client_id: clients.post.clientId, client_secret: clients.post.clientSecret };
  const urls = { auth_url: `${issuer}/other/auth`, token_url: `${issuer}/other/token` };
  await nexus.provider({ name: "both", issuer, enable_discovery: true, ...client, ...urls });
  const { lines } = await imported(0);
  expect(lines).toMatchObject([{ result: "created" }]);
  const key = { case: "name", value: "both" } as const;
  expect((await world.clients.providers.getProvider({ key })).provider).toMatchObject({
    ...{ enableDiscovery: true, issuer, authUrl: urls.auth_url, tokenUrl: urls.token_url },
  });
});

it.each<[string, string[], number, string]>([
  [
    "a password in an argument",
    ["--database", "postgres://nexus:s3cret@127.0.0.1/nexus"],
    2,
    "--database-file",
  ],
  ["no PostgreSQL", ["--database", "mysql://127.0.0.1/nexus"], 2, "postgres://"],
  ["a broker that is no URL", ["--broker", "nexus"], 2, "--broker"],
  ["a broker that is away", ["--broker", "http://127.0.0.1:1"], 1, "cannot be reached"],
  ["a database that is away", ["--database", "postgres://nexus@127.0.0.1:1/nexus"], 1, "database of Nexus"],
])("refuses %s", async (_, more, code, words) => {
  const { shell, lines } = await imported(code, ...more);
  expect(shell.err()).toContain(words);
  expect(shell.err()).not.toContain("s3cret");
  expect(lines).toEqual([]);
});

it("says that the broker refuses the key", async () => {
  const keyFile = join(temporaryFolder(), "key");
  writeFileSync(keyFile, "wrong");
  expect((await imported(1, "--key-file", keyFile)).shell.err()).toContain("refuses the key");
});
