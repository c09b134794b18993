import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { beforeEach, describe, expect, it } from "vitest";
import { run } from "../../../src/cli/program.js";
import { BadRequestSchema } from "../../../src/gen/google/rpc/error_details_pb.js";
import {
  AuthType,
  type CreateProviderRequest,
  TokenEndpointAuthMethod,
  type UpdateProviderRequest,
} from "../../../src/gen/nexus/v1/provider_pb.js";
import { perTest } from "../../lifetimes.js";
import { temporaryFolder } from "../../temporary_folder.js";
import { FakeDaemon, providerId, redirectUri } from "../fake_daemon.js";
import { ended, fakeShell, jsonLines } from "../fake_shell.js";

const daemon = perTest(() => new FakeDaemon());
let folder: string;

beforeEach(async () => {
  folder = temporaryFolder();
  await daemon.start();
});

type Given = Parameters<typeof fakeShell>[0];

function shellOf(given: Given = {}) {
  return fakeShell({ ...given, env: { ...daemon.env, ...given?.env } });
}

const manual = ["--auth-url", "https://p.example/a", "--token-url", "https://p.example/t"];

async function create(args: string[], given: Given = {}) {
  const shell = shellOf(given);
  const code = await run(["provider", "add", "acme", "--client-id", "id", ...args], shell);
  const [request] = daemon.got<CreateProviderRequest>("CreateProvider");
  return { code, shell, provider: request?.provider };
}

describe("provider add, of one that is not in the catalogue", () => {
  it.each([[[]], [["--json"]]])("prints the warnings of discovery, and ends with 0: %j", async (more) => {
    daemon.warnings = ["U answers HTTP status 404"];
    const { code, shell } = await create(["--issuer", "https://p.example", ...more], {
      env: { NEXUS_CLIENT_SECRET: "s" },
    });
    expect(code).toBe(0);
    expect(shell.err()).toBe("warning: acme: U answers HTTP status 404\n");
    expect(shell.out()).toContain(redirectUri);
  });

  it("sends manual endpoints, scopes and parameters, and shows the redirect URI", async () => {
    const { code, shell, provider } = await create(
      [
        ...manual,
        ...["--scopes", "repo, user", "--scope", "a,b", "--scope", "repo"],
        ...["--param", "access_type=offline", "--param", "x=a=b"],
        ...["--auth-method", "client_secret_basic", "--refresh-window", "90s"],
        ...["--description", "D", "--category", "C"],
      ],
      { env: { NEXUS_CLIENT_SECRET: "s3cret" } },
    );
    expect(code).toBe(0);
    expect(provider).toMatchObject({
      name: "acme",
      authType: AuthType.OAUTH2,
      clientId: "id",
      clientSecret: "s3cret",
      enableDiscovery: false,
      authUrl: "https://p.example/a",
      tokenUrl: "https://p.example/t",
      scopes: ["repo", "user", "a", "b"],
      authorizationParams: { access_type: "offline", x: "a=b" },
      tokenEndpointAuthMethod: TokenEndpointAuthMethod.CLIENT_SECRET_BASIC,
      refreshWindow: { seconds: 90n, nanos: 0 },
      description: "D",
      category: "C",
    });
    expect(shell.out()).toContain(providerId);
    expect(shell.out()).toContain(redirectUri);
    expect(shell.out() + shell.err()).not.toContain("s3cret");
  });

  it("discovers when only an issuer is given", async () => {
    const { provider } = await create(["--issuer", "https://i.example", "--auth-method", "none"]);
    expect(provider).toMatchObject({
      issuer: "https://i.example",
      enableDiscovery: true,
      clientSecret: "",
      tokenEndpointAuthMethod: TokenEndpointAuthMethod.NONE,
    });
  });

  it("does not discover when endpoints are given beside the issuer", async () => {
    const { provider } = await create([...manual, "--issuer", "https://i.example", "--auth-method", "none"]);
    expect(provider).toMatchObject({ issuer: "https://i.example", enableDiscovery: false });
  });

  it("asks a person for the secret without echo", async () => {
    const { code, shell, provider } = await create(manual, { answers: ["typed"] });
    expect(code).toBe(0);
    expect(shell.questions).toEqual([{ question: "Client secret: ", echo: false }]);
    expect(provider?.clientSecret).toBe("typed");
  });

  it("reads the secret from a file or from standard input, without its line end", async () => {
    const file = join(folder, "secret");
    writeFileSync(file, "from file \n");
    const env = { NEXUS_CLIENT_SECRET: "not this" };
    expect((await create([...manual, "--client-secret-file", file], { env })).provider?.clientSecret).toBe(
      "from file ",
    );
    daemon.requests.length = 0;
    const piped = await create([...manual, "--client-secret-file", "-"], { piped: "piped\r\n" });
    expect(piped.provider?.clientSecret).toBe("piped");
  });

  it.each([
    [{}, manual, "missing client secret"],
    [{ piped: "" }, [...manual, "--client-secret-file", "-"], "holds nothing"],
    [{ piped: "a\nb\n" }, [...manual, "--client-secret-file", "-"], "one line"],
    [{}, [...manual, "--client-secret-file", "/nonexistent"], "ENOENT"],
    [{}, ["--auth-url", "https://p.example/a"], "--issuer, or --auth-url and --token-url"],
    [{}, [...manual, "--auth-method", "magic"], "client_secret_post, client_secret_basic, none"],
    [{}, [...manual, "--param", "novalue"], "name=value"],
    [{}, [...manual, "--refresh-window", "60"], "is not a duration"],
    [{}, [...manual, "--client-secret", "s3cret"], "unknown option '--client-secret'"],
  ])("refuses with 2: %j %j", async (given, args, text) => {
    const { code, shell, provider } = await create(args, given);
    expect(code).toBe(2);
    expect(shell.err()).toContain(text);
    expect(provider).toBeUndefined();
  });

  it("names each field that the daemon does not accept", async () => {
    const fieldViolations = [
      { field: "provider.name", description: "must be short" },
      { field: "provider.auth_url", description: "must be an https URL" },
    ];
    const detail = { desc: BadRequestSchema, value: { fieldViolations } };
    daemon.failures.set("CreateProvider", new ConnectError("bad", Code.InvalidArgument, undefined, [detail]));
    const { code, shell } = await create([...manual, "--auth-method", "none"]);
    expect(code).toBe(1);
    expect(shell.err()).toBe(
      "nexusd: cannot add the provider acme: the daemon does not accept\n" +
        "  provider.name: must be short\n  provider.auth_url: must be an https URL\n",
    );
  });

  it("prints one JSON object", async () => {
    const { shell } = await create([...manual, "--auth-method", "none", "--json"]);
    expect(jsonLines(shell.out())).toEqual([
      { provider: { id: providerId, name: "acme" }, redirect_uri: redirectUri },
    ]);
  });
});

describe("provider list and show", () => {
  it("finds one by the beginning of its id, after its name, and says when it is that of several", async () => {
    daemon.addProvider();
    daemon.addProvider({ id: "11111111-2222-4111-8111-111111111111", name: "gitlab" });
    daemon.addProvider({ id: "22222222-2222-4111-8111-111111111111", name: "11111111" });
    const get = async (text: string) => {
      const shell = shellOf();
      return { code: await run(["provider", "show", text], shell), out: shell.out(), err: shell.err() };
    };
    expect((await get("11111111-2")).out).toMatch(/^name +gitlab$/m);
    expect((await get("11111111")).out).toMatch(/^id +22222222-/m);
    const several = await get("11111111-");
    expect(several.code).toBe(2);
    expect(several.err).toContain("the beginning of several ids");
    expect((await get("1111")).code).toBe(2);
    expect((await get("9999")).code).toBe(1);
  });

  it("reads all pages into a table", async () => {
    daemon.addProvider({ scopes: ["a", "b"], authUrl: "https://p.example/a" });
    daemon.addProvider({
      id: "x",
      name: "google",
      issuer: "https://i.example",
      enableDiscovery: true,
      oauth2Options: { omitPkce: true },
    });
    const shell = await ended(0, ["provider", "list"], shellOf());
    const [header, ...rows] = shell.out().trimEnd().split("\n");
    expect(header).toMatch(/^NAME +ID +TYPE +PKCE +ISSUER OR AUTH URL +SCOPES$/);
    expect(rows[0]).toMatch(/^github +1{8} +oauth2 +S256 +https:\/\/p\.example\/a +a b$/);
    expect(rows[1]).toMatch(/^google +x +oauth2 +omitted +https:\/\/i\.example$/);
    const json = shellOf();
    await run(["provider", "list", "--json"], json);
    expect(jsonLines(json.out()).map((one) => one["name"])).toEqual(["github", "google"]);
  });

  it("says on standard error that there is none", async () => {
    const shell = await ended(0, ["provider", "list"], shellOf());
    expect([shell.out(), shell.err()]).toEqual(["", "no providers yet: nexusd provider add\n"]);
  });

  it.each(["github", " GitHub ", providerId])("finds %j", async (key) => {
    daemon.addProvider({ clientSecretSet: true });
    const shell = await ended(0, ["provider", "show", key], shellOf());
    expect(shell.out()).toMatch(/^client secret +set$/m);
    expect(shell.out()).toMatch(new RegExp(`^redirect URI +${redirectUri}$`, "m"));
    const json = shellOf();
    await run(["provider", "show", key, "--json"], json);
    expect(jsonLines(json.out())).toMatchObject([{ redirect_uri: redirectUri }]);
  });

  it("says nothing of a client where the provider takes a static key", async () => {
    daemon.addProvider({ authType: AuthType.API_KEY });
    const shell = await ended(0, ["provider", "show", "github"], shellOf());
    expect(shell.out()).not.toMatch(/^(discovery|client|grant type)/m);
  });

  it("says how a provider of the catalogue is registered that is not yet", async () => {
    daemon.templates.push("slack");
    const shell = await ended(1, ["provider", "show", "Slack"], shellOf());
    expect(shell.err()).toContain("\nadd it first; how: nexusd provider show slack --template\n");
  });

  it("says what it did not find", async () => {
    const shell = await ended(1, ["provider", "show", "nope"], shellOf());
    expect(shell.err()).toBe("nexusd: cannot find the provider nope: not found\nsee nexusd provider list\n");
  });

  it.each([
    ["git", ["provider", "show"]],
    ["githbu", ["provider", "show"]],
    ["GitHub-2", ["connections", "--provider"]],
    ["gthub", ["connect"]],
  ])("suggests github for %s to %j", async (word, command) => {
    daemon.addProvider();
    daemon.failures.set("RequestConnection", new ConnectError("there is none", Code.NotFound));
    const shell = await ended(1, [...command, word], shellOf());
    expect(shell.err()).toMatch(/\ndid you mean github\?\n$/);
  });
});

describe("provider update", () => {
  async function update(args: string[], given: Given = {}) {
    daemon.addProvider();
    const shell = shellOf(given);
    const code = await run(["provider", "update", "github", ...args], shell);
    const [request] = daemon.got<UpdateProviderRequest>("UpdateProvider");
    return { code, shell, request, paths: [...(request?.updateMask?.paths ?? [])].sort() };
  }

  it("changes what is given and nothing else", async () => {
    const env = { NEXUS_CLIENT_SECRET: "not asked for" };
    const { code, request, paths, shell } = await update(["--description", "", "--name", "gh"], { env });
    expect(code).toBe(0);
    expect(paths).toEqual(["description", "name"]);
    expect(request?.provider).toMatchObject({ id: providerId, name: "gh", clientSecret: "" });
    expect(shell.out()).toBe("github is updated: description, name\n");
  });

  it("clears the endpoints for discovery, and the secret of a public client", async () => {
    const discovery = await update(["--discovery", "--issuer", "https://i.example"]);
    expect(discovery.paths).toEqual(["auth_url", "enable_discovery", "issuer", "jwks_url", "token_url"]);
    daemon.requests.length = 0;
    const isPublic = await update(["--auth-method", "none"]);
    expect(isPublic.paths).toEqual(["client_secret", "token_endpoint_auth_method"]);
    daemon.requests.length = 0;
    const window = await update(["--refresh-window", "default"]);
    expect(window.paths).toEqual(["refresh_window"]);
    expect(window.request?.provider?.refreshWindow).toBeUndefined();
    daemon.requests.length = 0;
    const places = await update(["--max-concurrent-requests", "64"]);
    expect(places.paths).toEqual(["max_concurrent_requests"]);
    expect(places.request?.provider?.maxConcurrentRequests).toBe(64);
    expect((await update(["--max-concurrent-requests", "many"])).shell.err()).toContain("whole number");
  });

  it("takes a new secret from a file", async () => {
    const { request, paths } = await update(["--client-secret-file", "-"], { piped: "new\n" });
    expect(paths).toEqual(["client_secret"]);
    expect(request?.provider?.clientSecret).toBe("new");
  });

  it("wants something to change", async () => {
    const { code, shell } = await update([]);
    expect(code).toBe(2);
    expect(shell.err()).toContain("nothing to change");
  });
});

describe("provider delete", () => {
  it("asks a person, and takes only yes", async () => {
    daemon.addProvider();
    const no = await ended(1, ["provider", "delete", "github"], shellOf({ answers: [""] }));
    expect(no.err()).toBe("nexusd: nothing was changed\n");
    expect(daemon.got("DeleteProvider")).toEqual([]);
    const yes = await ended(0, ["provider", "delete", "github"], shellOf({ answers: ["y"] }));
    expect(yes.out()).toBe("github is deleted; 2 connections are left without a provider\n");
  });

  it("demands --yes of a script, and does not ask then", async () => {
    daemon.addProvider();
    const script = await ended(2, ["provider", "delete", "github"], shellOf());
    expect(script.err()).toContain("--yes");
    expect(await run(["provider", "delete", "github", "--yes"], shellOf())).toBe(0);
    expect(await run(["provider", "delete", "github", "--yes"], shellOf({ answers: [] }))).toBe(0);
    expect(daemon.got("DeleteProvider")).toMatchObject([{ id: providerId }, { id: providerId }]);
  });
});
