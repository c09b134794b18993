import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { beforeEach, describe, expect, it } from "vitest";
import { run } from "../../../src/cli/program.js";
import {
  AuthType,
  type CreateProviderRequest,
  ProviderTemplateSchema,
  TokenEndpointAuthMethod,
  TokenRequestFormat,
} from "../../../src/gen/nexus/v1/provider_pb.js";
import { perTest } from "../../lifetimes.js";
import { temporaryFolder } from "../../temporary_folder.js";
import { FakeDaemon, redirectUri } from "../fake_daemon.js";
import { fakeShell, jsonLines } from "../fake_shell.js";

const templates = [
  create(ProviderTemplateSchema, {
    name: "github",
    displayName: "GitHub",
    redirectUri,
    docsUrl: "https://docs.example",
    notes: ["A note \u001b[31mof another."],
    provider: {
      authType: AuthType.OAUTH2,
      authUrl: "https://p.example/a",
      tokenUrl: "https://p.example/t",
      category: "developer",
      oauth2Options: {},
    },
  }),
  create(ProviderTemplateSchema, {
    name: "quirky",
    displayName: "Quirky",
    redirectUri: "http://localhost:8080/auth/callback/quirky",
    provider: {
      authType: AuthType.OAUTH2,
      issuer: "https://{sub}.example",
      enableDiscovery: true,
      scopes: ["a", "b"],
      authorizationParams: { access_type: "offline" },
      tokenEndpointAuthMethod: TokenEndpointAuthMethod.CLIENT_SECRET_BASIC,
      strategy: { kind: { case: "oauth2", value: { headerName: "X-Key", valuePrefix: "" } } },
      oauth2Options: {
        omitPkce: true,
        scopeSeparator: ",",
        skipScopeOnAuth: true,
        tokenParams: { x: "1" },
        refreshParams: { y: "2" },
        tokenHeaders: { "X-A": "3" },
        tokenRequestFormat: TokenRequestFormat.JSON,
        refreshUrl: "https://p.example/r",
        tokenResponsePath: "data",
        lifetimeField: "life",
        defaultLifetime: { seconds: 3600n, nanos: 0 },
        callbackMetadata: ["realm"],
        tokenMetadata: ["team.id"],
        invalidGrantAliases: ["unauthorized_client", "status=BAD_REFRESH_TOKEN"],
      },
    },
    variables: [
      { name: "sub", description: "Your part" },
      { name: "region", description: "Where", defaultValue: "eu" },
    ],
  }),
  create(ProviderTemplateSchema, {
    name: "static",
    displayName: "Static",
    provider: {
      authType: AuthType.API_KEY,
      strategy: { kind: { case: "queryParam", value: { paramName: "key" } } },
    },
  }),
];

const daemon = perTest(() => new FakeDaemon());
let folder: string;
beforeEach(async () => {
  folder = temporaryFolder();
  daemon.api.providers = {
    listProviderTemplates: ({ namePrefix, pageToken }) => {
      const found = templates.filter(({ name }) => name.startsWith(namePrefix));
      const index = Number(pageToken || 0);
      const nextPageToken = index + 1 < found.length ? String(index + 1) : "";
      return { templates: found.slice(index, index + 1), nextPageToken };
    },
  };
  await daemon.start();
});

async function nexusd(args: string[], given: Parameters<typeof fakeShell>[0] = {}) {
  const shell = fakeShell({ ...given, env: { ...daemon.env, ...given?.env } });
  const code = await run(["provider", ...args], shell);
  const [request] = daemon.got<CreateProviderRequest>("CreateProvider");
  return { code, out: shell.out(), err: shell.err(), request };
}

describe("provider templates", () => {
  it("lists all pages, and where PKCE is omitted", async () => {
    const [header, ...rows] = (await nexusd(["templates"])).out.trimEnd().split("\n");
    expect(header).toMatch(/^NAME +TYPE +PKCE +CATEGORY +VARIABLES +PROVIDER$/);
    expect(rows[0]).toMatch(/^github +oauth2 +S256 +developer +GitHub$/);
    expect(rows[1]).toMatch(/^quirky +oauth2 +omitted +sub region +Quirky$/);
    expect(rows[2]).toMatch(/^static +api_key +Static$/);
  });

  it("lists by prefix, and as JSON", async () => {
    const { out } = await nexusd(["templates", "Qu", "--json"]);
    expect(jsonLines(out)).toMatchObject([
      { name: "quirky", provider: { oauth2_options: { omit_pkce: true } } },
    ]);
    expect((await nexusd(["templates", "zz"])).err).toBe("no template has this prefix\n");
  });
});

describe("provider show --template", () => {
  it("says every quirk in words", async () => {
    const { code, out } = await nexusd(["show", "quirky", "--template"]);
    expect(code).toBe(0);
    for (const words of [
      "http://localhost:8080/auth/callback/quirky (paste it into the provider's console)",
      "https://{sub}.example (its discovery document says the endpoints)",
      "access_type=offline",
      "--var sub=...  Your part\n",
      "--var region=...  Where; eu when not given",
      "the daemon authenticates by HTTP Basic",
      "PKCE is omitted",
      "no scope is sent in the authorization request",
      'scopes are separated by ","',
      "token requests are sent as JSON",
      "the code exchange also sends x=1",
      "a refresh also sends y=2",
      "token requests have the headers X-A=3",
      "tokens are refreshed at https://p.example/r",
      "the token is in data of the answer",
      "the lifetime is in life of the answer",
      "a token without a lifetime is taken to live 1h",
      "kept as metadata of a connection: realm, team.id",
      "a refresh token is also dead when the answer says unauthorized_client or status=BAD_REFRESH_TOKEN",
      "the credential goes into the header X-Key: <credential>",
      "nexusd provider add quirky --client-id <id> --client-secret-file <file> --var sub=<value>\n",
    ]) {
      expect(out).toContain(words);
    }
  });

  it("lets no text of a catalogue steer the terminal", async () => {
    const { out } = await nexusd(["show", "github", "--template"]);
    expect(out).toContain("A note ?[31mof another.");
  });

  it("is short about static types", async () => {
    const { out } = await nexusd(["show", "static", "--template"]);
    expect(out).toContain("the credential goes into the query as key");
    expect(out).not.toMatch(/redirect URI|scopes|PKCE|--client-id/);
  });

  it.each([
    ["gitlab", "there is no template gitlab: did you mean github?"],
    ["gihtub", "there is no template gihtub: did you mean github?"],
    ["stat", "there is no template stat: did you mean static?"],
    ["zz", "there is no template zz: see nexusd provider templates"],
  ])("does not find %s", async (name, sentence) => {
    const { code, err } = await nexusd(["show", name, "--template"]);
    expect([code, err]).toEqual([1, `nexusd: ${sentence}\n`]);
  });

  it("without --template shows the provider", async () => {
    daemon.addProvider({ template: "github" });
    expect((await nexusd(["show", "github"])).out).toMatch(/^template +github$/m);
  });
});

describe("provider add", () => {
  it("sends the template, what is given, and the secret of the file", async () => {
    const file = join(folder, "secret");
    writeFileSync(file, "s3cret\n");
    const { code, out, request } = await nexusd([
      ...["add", "Quirky", "--client-id", "x", "--client-secret-file", file, "--name", "mine"],
      ...["--var", "sub=acme", "--var", "region=a=b", "--scope", "read", "--param", "hd=acme"],
    ]);
    expect(code).toBe(0);
    expect(request).toMatchObject({
      template: "quirky",
      templateVariables: { sub: "acme", region: "a=b" },
      provider: {
        name: "mine",
        clientId: "x",
        clientSecret: "s3cret",
        scopes: ["read"],
        authorizationParams: { hd: "acme" },
        authUrl: "",
      },
    });
    expect(out).toContain(redirectUri);
    expect(out).toContain("nexusd connect mine\n");
  });

  it("says what to do about a provider that is there already", async () => {
    daemon.failures.set("CreateProvider", new ConnectError("exists already", Code.AlreadyExists));
    const shell = fakeShell({ env: daemon.env, piped: "s" });
    const args = [
      "provider",
      "add",
      "quirky",
      "--client-id",
      "x",
      "--client-secret-file",
      "-",
      "--var",
      "sub=a",
    ];
    expect(await run(args, shell)).toBe(1);
    expect(shell.err()).toMatch(
      /\nto change it: nexusd provider update quirky; to add another: --name NAME\n$/,
    );
  });

  it("asks a person for the secret", async () => {
    const { request } = await nexusd(["add", "github", "--client-id", "x"], { answers: ["typed"] });
    expect(request?.provider).toMatchObject({ name: "", clientSecret: "typed" });
  });

  it("asks nobody for a client of a static type", async () => {
    const { code, out, request } = await nexusd(["add", "static", "--name", "s"]);
    expect(code).toBe(0);
    expect(request?.provider).toMatchObject({ clientId: "", clientSecret: "" });
    expect(out).not.toContain(redirectUri);
  });

  it.each([
    [["add", "github"], 2, "missing --client-id: register a client at the provider first"],
    [["add", "static", "--client-id", "x"], 2, "static has no client"],
    [["add", "github", "--client-id", "x", "--var", "sub"], 2, "It must read name=value."],
    [["add", "zz", "--client-id", "x"], 1, "there is no template zz"],
    [["add", "github", "--client-id", "x", "--client-secret", "s"], 2, "unknown option '--client-secret'"],
  ])("refuses %j", async (args, exitCode, text) => {
    const { code, err, request } = await nexusd(args);
    expect([code, request]).toEqual([exitCode, undefined]);
    expect(err).toContain(text);
  });
});
