import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { run } from "../../src/cli/program.js";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { fakeShell, jsonLines } from "../cli/fake_shell.js";
import { Browser } from "../fakes/browser.js";
import { ScriptedProvider, scriptedClient } from "../fakes/scripted_provider.js";
import { perSuite } from "../lifetimes.js";
import { temporaryFolder } from "../temporary_folder.js";
import { failureOf } from "./errors.js";
import { TestDaemon } from "./harness.js";
import { requestOf } from "./requests.js";

let folder: string;
const provider = perSuite(() => ScriptedProvider.start());
const daemon = perSuite(() => {
  folder = temporaryFolder();
  const file = join(folder, "own.yaml");
  writeFileSync(
    file,
    `
providers:
  - name: scripted
    display_name: Scripted
    category: test
    auth_type: oauth2
    auth_url: ${provider.authUrl}
    token_url: ${provider.tokenUrl}
    scopes: [read, write]
    oauth2_options: { scope_separator: ",", omit_pkce: true, callback_metadata: [shop] }
    docs_url: https://scripted.example/docs
    notes: [A note.]
`,
  );
  return TestDaemon.start({ NEXUS_CATALOG_FILE: file });
});
const clients = perSuite(() => daemon.clients);

const secret = { clientId: "id", clientSecret: "s" };

describe("ListProviderTemplates", () => {
  it("pages through all, the user's among them, in the order of the names", async () => {
    const names: string[] = [];
    let pageToken = "";
    do {
      const page = await clients.providers.listProviderTemplates({ pageSize: 50, pageToken });
      expect(page.templates.length).toBeLessThanOrEqual(50);
      names.push(...page.templates.map(({ name }) => name));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(names).toEqual([...new Set(names)].sort());
    expect(names.length).toBeGreaterThanOrEqual(151);
    expect(names).toContain("scripted");
  });

  it("answers what a template holds, and filters by prefix", async () => {
    const { templates } = await clients.providers.listProviderTemplates({ namePrefix: "zendesk" });
    expect(templates.map(({ name }) => name)).toEqual(["zendesk", "zendesk-api-token"]);
    expect(templates[0]).toMatchObject({
      displayName: "Zendesk",
      docsUrl: expect.stringMatching(/^https:/),
      variables: [{ name: "subdomain", pattern: expect.any(String), defaultValue: "" }],
      provider: { authType: AuthType.OAUTH2, tokenUrl: "https://{subdomain}.zendesk.com/oauth/tokens" },
    });
    expect(templates[1]?.provider?.credentialSchema).toBeDefined();
  });

  it("shows where PKCE is omitted", async () => {
    const { templates } = await clients.providers.listProviderTemplates({ namePrefix: "slack" });
    expect(templates.map(({ provider: each }) => each?.oauth2Options?.omitPkce)).toEqual([true, false, true]);
  });
});

describe("CreateProvider from a template", () => {
  it("needs only the client", async () => {
    const { provider: made, redirectUri } = await clients.providers.createProvider({
      template: " GitHub ",
      provider: secret,
    });
    expect(made).toMatchObject({
      name: "github",
      template: "github",
      description: "GitHub",
      category: "developer",
      authUrl: "https://github.com/login/oauth/authorize",
      clientSecretSet: true,
      oauth2Options: { tokenHeaders: { Accept: "application/json" } },
    });
    expect(redirectUri).toBe(`${daemon.place.config.redirectUri}/github`);
    const requested = await clients.connections.requestConnection(requestOf("github", { scopes: ["repo"] }));
    const stopped = await new Browser().get(requested.authUrl, (url) =>
      url.startsWith("https://github.com/"),
    );
    const sent = new URL(stopped.url);
    expect(sent.origin + sent.pathname).toBe("https://github.com/login/oauth/authorize");
    expect(Object.fromEntries(sent.searchParams)).toMatchObject({
      client_id: "id",
      redirect_uri: redirectUri,
      scope: "repo",
      code_challenge_method: "S256",
    });
  });

  it("lets what is set take the template's place, adds parameters and options, and shows the template", async () => {
    const { provider: made } = await clients.providers.createProvider({
      template: "google",
      provider: {
        ...secret,
        name: "mail",
        scopes: ["openid"],
        description: "Mail of the team",
        authorizationParams: { prompt: "select_account", hd: "acme.example" },
        oauth2Options: { callbackMetadata: ["hd"] },
      },
    });
    expect(made).toMatchObject({
      name: "mail",
      template: "google",
      issuer: "https://accounts.google.com",
      enableDiscovery: true,
      scopes: ["openid"],
      description: "Mail of the team",
      authorizationParams: { access_type: "offline", prompt: "select_account", hd: "acme.example" },
      oauth2Options: { callbackMetadata: ["hd"] },
    });
    const slack = await clients.providers.createProvider({
      template: "slack",
      provider: { ...secret, oauth2Options: { tokenMetadata: ["app_id"] } },
    });
    expect(slack.provider?.oauth2Options).toMatchObject({
      scopeSeparator: ",",
      omitPkce: true,
      tokenMetadata: ["app_id"],
    });
  });

  it("turns discovery off for endpoints by hand, and endpoints off for discovery", async () => {
    const byHand = await clients.providers.createProvider({
      template: "gitlab",
      provider: { ...secret, authUrl: "https://a.example/a", tokenUrl: "https://a.example/t" },
    });
    expect(byHand.provider).toMatchObject({ enableDiscovery: false, authUrl: "https://a.example/a" });
    const discovered = await clients.providers.createProvider({
      template: "dropbox",
      provider: { ...secret, issuer: "https://a.example", enableDiscovery: true },
    });
    expect(discovered.provider).toMatchObject({ enableDiscovery: true, authUrl: "", tokenUrl: "" });
  });

  it("makes static providers without a client", async () => {
    for (const [template, strategy] of [
      ["openai", { case: "header", value: { headerName: "Authorization", valuePrefix: "Bearer " } }],
      ["pinecone", { case: "header", value: { headerName: "Api-Key", valuePrefix: "" } }],
      ["linear-api-key", { case: "header", value: { headerName: "Authorization", valuePrefix: "" } }],
      ["google-maps", { case: "queryParam", value: { paramName: "key" } }],
      ["twilio", { case: "basicAuth" }],
    ] as const) {
      const { provider: made } = await clients.providers.createProvider({ template, provider: {} });
      expect(made?.strategy?.kind, template).toMatchObject(strategy);
    }
  });

  it.each([
    [
      "variables without a template",
      { templateVariables: { subdomain: "x" }, provider: secret },
      { code: "InvalidArgument", fields: ["template_variables"] },
    ],
    [
      "another type",
      { template: "box", provider: { ...secret, authType: AuthType.API_KEY } },
      { code: "InvalidArgument", fields: ["provider.auth_type"] },
    ],
    [
      "no client",
      { template: "box", provider: {} },
      { code: "InvalidArgument", fields: ["provider.client_id", "provider.client_secret"] },
    ],
  ])("refuses %s", async (_why, request, failure) => {
    expect(await failureOf(clients.providers.createProvider(request))).toMatchObject(failure);
  });

  it("of the user's file goes the whole way", async () => {
    provider.become({ rejectsPkce: true, scopeSeparator: ",", callbackParams: { shop: "acme" } });
    const { provider: made } = await clients.providers.createProvider({
      template: "scripted",
      provider: scriptedClient,
    });
    const requested = await clients.connections.requestConnection(requestOf(made?.id ?? ""));
    await new Browser().get(requested.authUrl);
    const { connection } = await clients.connections.getConnection({
      connectionId: requested.connectionId,
    });
    expect(connection).toMatchObject({ status: ConnectionStatus.ACTIVE, metadata: { shop: "acme" } });
  });
});

describe("nexusd", () => {
  const command = (...args: string[]) => {
    const shell = fakeShell({ env: { NEXUS_DATA_DIR: daemon.place.config.dataDir } });
    return { shell, ended: run(args, shell) };
  };

  it("adds a provider from the catalogue, and connect prints a URL that leads to it", async () => {
    const file = join(folder, "secret");
    writeFileSync(file, "s3cret\n");
    const flags = ["--name", "gh", "--client-id", "x", "--client-secret-file", file];
    const { shell, ended } = command("provider", "add", "github", ...flags);
    expect([await ended, shell.out()]).toEqual([0, expect.stringContaining(" connect gh")]);
    expect(shell.out()).toContain(daemon.place.config.redirectUri);

    const connecting = command("connect", "gh", "--scope", "repo", "--json");
    await expect.poll(() => jsonLines(connecting.shell.out())).toHaveLength(1);
    const [{ auth_url: url, connection_id: connectionId } = {}] = jsonLines(connecting.shell.out());
    const page = await new Browser().get(`${url}`, (target) => target.startsWith("https://github.com/"));
    expect(new URL(page.url).searchParams.get("client_id")).toBe("x");
    await clients.connections.deleteConnection({ connectionId: `${connectionId}` });
    expect(await connecting.ended).toBe(21);
  });

  it("explains a template", async () => {
    const { shell, ended } = command("provider", "show", "shopify", "--template");
    expect(await ended).toBe(0);
    for (const words of [
      daemon.place.config.redirectUri,
      "--var shop=",
      "token requests are sent as JSON",
      "X-Shopify-Access-Token",
      "https://shopify.dev/",
    ]) {
      expect(shell.out()).toContain(words);
    }
  });
});
