import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, it } from "vitest";
import { run } from "../../../src/cli/program.js";
import {
  AuthType,
  type CreateProviderRequest,
  ProviderTemplateSchema,
  TokenEndpointAuthMethod,
} from "../../../src/gen/nexus/v1/provider_pb.js";
import { perTest } from "../../lifetimes.js";
import { FakeDaemon } from "../fake_daemon.js";
import { fakeShell } from "../fake_shell.js";

const daemon = perTest(() => new FakeDaemon());

const templates: MessageInitShape<typeof ProviderTemplateSchema>[] = [
  {
    name: "github",
    displayName: "GitHub",
    docsUrl: "https://docs.example/github",
    redirectUri: "http://localhost:8080/auth/callback/github",
    notes: ["A note."],
    provider: {
      authType: AuthType.OAUTH2,
      scopes: ["read:user"],
      authUrl: "https://github.example/authorize",
      tokenUrl: "https://github.example/token",
    },
  },
  { name: "gitlab", displayName: "GitLab", provider: { authType: AuthType.OAUTH2 } },
  {
    name: "algolia",
    displayName: "Algolia",
    provider: { authType: AuthType.API_KEY },
    variables: [{ name: "app_id", description: "Application id" }],
  },
];

beforeEach(async () => {
  daemon.api.providers = {
    listProviderTemplates: ({ namePrefix }) => ({
      templates: templates
        .filter(({ name = "" }) => name.startsWith(namePrefix))
        .map((template) => create(ProviderTemplateSchema, template)),
    }),
  };
  await daemon.start();
});

async function add(args: string[], given: Parameters<typeof fakeShell>[0] = {}) {
  const shell = fakeShell({ env: daemon.env, ...given });
  const code = await run(["provider", "add", ...args], shell);
  const [request] = daemon.got<CreateProviderRequest>("CreateProvider");
  return { code, shell, request };
}

describe("provider add that asks", () => {
  it("looks for the template, says where the client is registered, and asks for the rest", async () => {
    const { code, shell, request } = await add([], {
      query: "gith",
      answers: ["Iv1.abc", "s3cret", "", "n"],
    });
    expect(code).toBe(0);
    expect(shell.questions).toEqual([
      { question: "Client id: ", echo: true },
      { question: "Client secret (it is not shown; empty for a public client): ", echo: false },
      { question: "Scopes [read:user]: ", echo: true },
      { question: "Connect now? [Y/n] ", echo: true },
    ]);
    expect(request).toMatchObject({
      template: "github",
      provider: { name: "", clientId: "Iv1.abc", clientSecret: "s3cret", scopes: [] },
    });
    const said = shell.err();
    expect(said).toContain("https://docs.example/github");
    expect(said).toContain("http://localhost:8080/auth/callback/github");
    expect(said).toContain("A note.");
    expect(shell.out()).not.toContain("A note.");
    expect(said + shell.out()).not.toContain("s3cret");
    expect(shell.out()).toContain("Later: nexusd connect");
  });

  it("asks for what flags leave open alone", async () => {
    const { request, shell } = await add(["github", "--scope", "repo", "--auth-method", "none"], {
      answers: ["id", "no"],
    });
    expect(shell.questions.map(({ question }) => question)).toEqual(["Client id: ", "Connect now? [Y/n] "]);
    expect(request?.provider).toMatchObject({
      clientId: "id",
      scopes: ["repo"],
      tokenEndpointAuthMethod: TokenEndpointAuthMethod.NONE,
    });
  });

  it("takes an empty secret for a public client, and scopes as they are written", async () => {
    const { request } = await add(["github"], { answers: ["", "id", "", "repo, user", "n"] });
    expect(request?.provider).toMatchObject({
      clientId: "id",
      clientSecret: "",
      scopes: ["repo", "user"],
      tokenEndpointAuthMethod: TokenEndpointAuthMethod.NONE,
    });
  });

  it("asks for another name when there is such a provider, and shows the redirect URI of that name", async () => {
    daemon.addProvider({ name: "github" });
    const { request, shell } = await add(["github"], { answers: ["github", "Github-2", "id", "s", "", "n"] });
    expect(request?.provider?.name).toBe("github-2");
    expect(shell.err()).toContain("http://localhost:8080/auth/callback/github-2\n");
  });

  it("asks for variables, and for no client, where a person enters a key", async () => {
    const { request, shell } = await add([], { query: "algo", answers: ["AB12", "n"] });
    expect(shell.questions.map(({ question }) => question)).toEqual([
      "Application id (app_id): ",
      "Enter the key now? [Y/n] ",
    ]);
    expect(request).toMatchObject({ template: "algolia", templateVariables: { app_id: "AB12" } });
  });

  it("registers nothing when the person gives up", async () => {
    const { code, shell, request } = await add([], { answers: [] });
    expect([code, request]).toEqual([1, undefined]);
    expect(shell.err()).toContain("nothing was added");
  });

  it("does not ask without a terminal", async () => {
    const { code, shell } = await add([]);
    expect(code).toBe(2);
    expect(shell.err()).toContain("nexusd provider templates");
    expect((await add(["github"])).shell.err()).toContain(
      "missing --client-id: register a client at the provider first",
    );
  });
});

describe("a provider whose key a person enters", () => {
  it.each([
    [["--auth-type", "api_key"], AuthType.API_KEY, { case: undefined }],
    [
      ["--auth-type", "api_key", "--header-name", "X-Key"],
      AuthType.API_KEY,
      { case: "header", value: { headerName: "X-Key" } },
    ],
    [
      ["--auth-type", "header", "--header-name", "X-Key", "--value-prefix", ""],
      AuthType.HEADER,
      { case: "header", value: { headerName: "X-Key", valuePrefix: "" } },
    ],
    [
      ["--auth-type", "api_key", "--param-name", "key"],
      AuthType.API_KEY,
      { case: "queryParam", value: { paramName: "key" } },
    ],
    [
      ["--auth-type", "aws_sigv4", "--service", "s3", "--region", "eu-west-1"],
      AuthType.AWS_SIGV4,
      { case: "awsSigv4", value: { service: "s3", region: "eu-west-1" } },
    ],
    [
      ["--auth-type", "hmac_payload", "--header-name", "X-Sig", "--algo", "sha512", "--encoding", "base64"],
      AuthType.HMAC_PAYLOAD,
      { case: "hmacPayload", value: { headerName: "X-Sig", algo: "sha512", encoding: "base64" } },
    ],
  ])("is made of flags: %j", async (flags, authType, kind) => {
    const { code, shell, request } = await add([
      "acme",
      ...flags,
      "--api-base-url",
      "https://api.acme.example",
    ]);
    expect(shell.err()).toBe("");
    expect(code).toBe(0);
    expect(request).toMatchObject({ template: "", provider: { name: "acme", authType } });
    expect(request?.provider?.apiBaseUrl).toBe("https://api.acme.example");
    expect(request?.provider?.strategy?.kind.case).toBe(kind.case);
    if ("value" in kind) expect(request?.provider?.strategy?.kind.value).toMatchObject(kind.value);
    expect(shell.out()).toContain("Enter the key: nexusd connect acme\n");
  });

  it.each([
    [["acme", "--auth-type", "aws_sigv4", "--param-name", "key"], "it takes --service, --region"],
    [
      ["acme", "--auth-type", "api_key", "--header-name", "X", "--param-name", "k"],
      "no strategy of api_key has all of these",
    ],
    [["acme", "--auth-type", "api_key", "--client-id", "x"], "has no client"],
    [["--auth-type", "api_key"], "give the provider a name"],
    [["github", "--client-id", "id", "--header-name", "X"], "give --auth-type"],
  ])("is refused with 2: %j", async (args, text) => {
    const { code, shell, request } = await add(args);
    expect([code, request]).toEqual([2, undefined]);
    expect(shell.err()).toContain(text);
  });
});

describe("provider add of a name that is no template's", () => {
  it("takes the issuer or the endpoints of another provider", async () => {
    const { code, request, shell } = await add(
      ["acme", "--issuer", "https://i.example", "--client-id", "id", "--auth-method", "none"],
      {},
    );
    expect([code, shell.err()]).toEqual([0, ""]);
    expect(request).toMatchObject({ template: "", provider: { name: "acme", enableDiscovery: true } });
  });

  it("takes its name by --name, too, and says what it needs without one", async () => {
    const at = ["--issuer", "https://i.example", "--client-id", "id", "--auth-method", "none"];
    const unnamed = await add(at);
    expect([unnamed.code, unnamed.request]).toEqual([2, undefined]);
    expect(unnamed.shell.err()).toContain("for another provider, give a name, and --issuer");
    const { code, request } = await add(["--name", "acme", ...at]);
    expect([code, request]).toEqual([0, expect.objectContaining({ template: "" })]);
    expect(request?.provider?.name).toBe("acme");
  });

  it.each([[[]], [["--auth-type", "oauth2"]]])("says what it needs: %j", async (more) => {
    const { code, request, shell } = await add(["acme", "--client-id", "id", ...more]);
    expect([code, request]).toEqual([1, undefined]);
    expect(shell.err()).toContain("for another provider, give --issuer, or --auth-url and --token-url");
  });

  const ofIssuer = ["--issuer", "https://i.example", "--client-id", "id", "--auth-method", "none"];

  it("keeps to the template where there is one", async () => {
    const { request } = await add(["gitlab", ...ofIssuer]);
    expect(request).toMatchObject({ template: "gitlab", provider: { issuer: "https://i.example" } });
  });

  it("leads from the URL of an MCP server to the command that takes it", async () => {
    const { code, shell } = await add(["https://mcp.example.com/mcp"]);
    expect([code, shell.err()]).toEqual([
      2,
      expect.stringContaining("for an MCP server, nexusd connect https://mcp.example.com/mcp; for another"),
    ]);
  });

  it("refuses an issuer beside a template's own endpoints, unless both are replaced", async () => {
    const { code, request, shell } = await add(["github", ...ofIssuer]);
    expect([code, request]).toEqual([2, undefined]);
    expect(shell.err()).toContain("nexusd provider add github-2 --issuer https://i.example");
    const endpoints = ["--auth-url", "https://i.example/auth", "--token-url", "https://i.example/token"];
    const replaced = await add(["github", ...ofIssuer, ...endpoints]);
    expect([replaced.code, replaced.request?.template]).toEqual([0, "github"]);
  });
});
