import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { Catalogue } from "../../src/catalogue/catalogue.js";
import { catalogueViolations } from "../../src/catalogue/catalogue_file.js";
import { templatedTexts, variablesIn } from "../../src/catalogue/instantiate.js";
import { credentialSchemaViolations } from "../../src/domain/profiles/static/credential_schema.js";
import { providerViolations } from "../../src/model/providers/provider_profile.js";

const file = new URL("../../src/catalogue/providers.json", import.meta.url);
const text = readFileSync(file, "utf8");
const catalogue = await Catalogue.open(undefined);
const templates = catalogue.list({ limit: 1000 });

describe("the built-in catalogue", () => {
  it("keeps its schema and every rule beyond it", () => {
    expect(catalogueViolations(JSON.parse(text), (path) => path.join("."))).toEqual([]);
  });

  it("has at least 150 providers, no name twice, in the order of the names", () => {
    const { providers } = JSON.parse(text) as { providers: { name: string }[] };
    const names = providers.map(({ name }) => name);
    expect(names.length).toBeGreaterThanOrEqual(150);
    expect(names).toEqual([...new Set(names)].sort());
    expect(templates.map(({ name }) => name)).toEqual(names);
  });

  it.each(templates.map((template) => [template.name, template] as const))(
    "%s becomes a profile without errors",
    (name, template) => {
      const samples = Object.fromEntries(template.variables.map((each) => [each.name, each.example]));
      const settings = catalogue.instantiate(name, samples);
      const isOAuth2 = settings.authType === "oauth2";
      const violations = providerViolations({ ...settings, clientId: isOAuth2 ? "id" : "" }, isOAuth2);
      if (!isOAuth2) violations.push(...credentialSchemaViolations(settings));
      expect(violations).toEqual([]);
      expect(settings.template).toBe(name);
      expect(settings.category).not.toBe("");
      for (const [, url] of templatedTexts(settings)) {
        if (url !== "") expect(url).toMatch(/^(https:\/\/|\/)/);
        expect(variablesIn(url)).toEqual([]);
      }
      expect(template.docsUrl).toMatch(/^https:\/\//);
    },
  );

  it("says nothing that a discovery document says", () => {
    const discovered = templates.filter(({ settings }) => settings.enableDiscovery);
    expect(discovered.length).toBeGreaterThanOrEqual(40);
    for (const { settings } of discovered) {
      expect(settings).toMatchObject({ authUrl: "", tokenUrl: "", jwksUrl: "" });
      expect(settings.oauth2.revocationUrl).toBe("");
    }
  });

  it("holds no secret", () => {
    expect(text).not.toMatch(/"client_(id|secret)"/);
    expect(text).not.toMatch(/(sk|pk|ghp|xox[bp]|AKIA)[-_]?[A-Za-z0-9]{16,}/);
  });

  it("lets a variable end a host only where the values are listed, or where the whole host is the customer's", () => {
    for (const { settings, variables, name } of templates) {
      for (const [, url] of templatedTexts(settings)) {
        const [, host = ""] = /^https:\/\/([^/]*)/.exec(url) ?? [];
        const [, last] = /\{(\w+)\}$/.exec(host) ?? [];
        if (last === undefined || host === `{${last}}`) continue;
        const pattern = variables.find((variable) => variable.name === last)?.pattern ?? "";
        expect([name, pattern.replaceAll("\\.", ".")]).toEqual([
          name,
          expect.stringMatching(/^[a-z0-9.|-]+$/),
        ]);
      }
    }
  });

  it("declares the quirks that are known", () => {
    const of = (name: string) => catalogue.get(name).settings;
    expect(of("github").oauth2.tokenHeaders).toEqual({ Accept: "application/json" });
    expect(of("slack").oauth2).toMatchObject({ scopeSeparator: ",", omitPkce: true });
    expect(of("slack-user").oauth2).toMatchObject({
      tokenResponsePath: "authed_user",
      skipScopeOnAuth: true,
    });
    expect(of("notion")).toMatchObject({ tokenEndpointAuthMethod: "client_secret_basic" });
    expect(of("notion").oauth2.tokenRequestFormat).toBe("json");
    expect(of("figma").oauth2.refreshUrl).toBe("https://api.figma.com/v1/oauth/refresh");
    expect(of("withings").oauth2).toMatchObject({
      tokenParams: { action: "requesttoken" },
      tokenResponsePath: "body",
    });
    expect(of("square").oauth2.lifetimeField).toBe("expires_at");
    expect(of("salesforce").oauth2).toMatchObject({
      defaultLifetimeMs: 3_600_000,
      tokenMetadata: ["instance_url"],
    });
    expect(of("quickbooks").oauth2.callbackMetadata).toEqual(["realmId"]);
    expect(of("shopify").strategy).toMatchObject({ headerName: "X-Shopify-Access-Token", valuePrefix: "" });
    expect(of("exact-online").refreshWindowMs).toBe(30_000);
    expect(of("google")).toMatchObject({ issuer: "https://accounts.google.com", enableDiscovery: true });
    expect(of("google").authorizationParams).toEqual({ access_type: "offline", prompt: "consent" });
  });
});

describe("Catalogue", () => {
  it("lists by pages and by prefix", () => {
    const first = catalogue.list({ limit: 2, namePrefix: "google-" });
    expect(first.map(({ name }) => name)).toEqual(["google-ads", "google-analytics"]);
    const next = catalogue.list({ limit: 1, namePrefix: "google-", afterName: "google-analytics" });
    expect(next.map(({ name }) => name)).toEqual(["google-calendar"]);
    expect(catalogue.list({ limit: 5, namePrefix: "nope" })).toEqual([]);
  });

  it("knows what it does not know", () => {
    expect(() => catalogue.get("nope")).toThrow("template not found");
    expect(() => catalogue.get("__proto__")).toThrow("template not found");
  });
});
