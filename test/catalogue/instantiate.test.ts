import { describe, expect, it } from "vitest";
import { Catalogue } from "../../src/catalogue/catalogue.js";
import { templateOf } from "../../src/catalogue/catalogue_entry.js";
import { instantiate } from "../../src/catalogue/instantiate.js";
import { InvalidArgument } from "../../src/model/errors.js";

const catalogue = await Catalogue.open(undefined);

function violationsOf(name: string, variables: Record<string, string>): string[] {
  try {
    catalogue.instantiate(name, variables);
  } catch (error) {
    if (error instanceof InvalidArgument) {
      return error.violations.map(({ field, description }) => `${field} ${description}`);
    }
    throw error;
  }
  return [];
}

const hostile: readonly (readonly [why: string, value: string])[] = [
  ["another host by a slash", "evil.com/"],
  ["another host by a query", "evil.com?"],
  ["another host by a fragment", "evil.com#"],
  ["another host by a backslash", "evil.com\\"],
  ["another host by an encoded slash", "evil.com%2f"],
  ["a user", "a@b"],
  ["a user with a password", "a:b@evil.com"],
  ["a port", "evil.com:443"],
  ["a port that is none", "evil.com:x"],
  ["a parent folder", ".."],
  ["a dot", "."],
  ["an empty label", "a..b"],
  ["a leading dot", ".evil"],
  ["a trailing dot", "evil."],
  ["a leading hyphen", "-a"],
  ["a sub-subdomain where one label is allowed", "a.b"],
  ["a full-width slash", "evil.com\uff0f"],
  ["a full-width letter", "\uff41cme"],
  ["a cyrillic letter", "\u0430cme"],
  ["an ideographic full stop", "evil\u3002com"],
  ["a soft hyphen", "ac\u00adme"],
  ["a right-to-left mark", "\u202eacme"],
  ["a line end", "acme\n"],
  ["a line end in front", "\nacme"],
  ["a NUL", "acme\0"],
  ["a space", "ac me"],
  ["a tab, which URL parsers drop", "ac\tme"],
  ["a template", "{subdomain}"],
  ["something long", "a".repeat(64)],
  ["something very long", "a".repeat(100_000)],
  ["percent encoding", "%61cme"],
  ["a pattern's poison", `${"a-".repeat(100)}!`],
];

describe("variables", () => {
  it("fill the URLs", () => {
    const settings = catalogue.instantiate("zendesk", { subdomain: "acme" });
    expect(settings.authUrl).toBe("https://acme.zendesk.com/oauth/authorizations/new");
    expect(settings.tokenUrl).toBe("https://acme.zendesk.com/oauth/tokens");
    expect(settings.apiBaseUrl).toBe("https://acme.zendesk.com/api/v2");
  });

  it("fill scopes that are URLs", () => {
    const tenant = "11111111-2222-3333-4444-555555555555";
    const settings = catalogue.instantiate("microsoft-dynamics-365", { tenant, organization: "acme" });
    expect(settings.scopes).toEqual(["offline_access", "https://acme.crm.dynamics.com/.default"]);
    expect(settings.issuer).toBe(`https://login.microsoftonline.com/${tenant}/v2.0`);
  });

  it("have defaults, which an empty value takes too", () => {
    expect(catalogue.instantiate("zoho", {}).tokenUrl).toBe("https://accounts.zoho.com/oauth/v2/token");
    expect(catalogue.instantiate("zoho", { region: "" }).authUrl).toContain("accounts.zoho.com/");
    expect(catalogue.instantiate("zoho", { region: "com.au" }).authUrl).toContain("accounts.zoho.com.au/");
  });

  it("may name a host with a port where the whole host is the customer's", () => {
    const { issuer } = catalogue.instantiate("keycloak", { host: "sso.acme.example:8443", realm: "agents" });
    expect(issuer).toBe("https://sso.acme.example:8443/realms/agents");
  });

  it("are missing or unknown by name", () => {
    expect(violationsOf("zendesk", {})).toEqual([
      'template_variables["subdomain"] is required: Your part of the host name, before .zendesk.com, for example acme',
    ]);
    expect(violationsOf("github", { subdomain: "a" })).toEqual([
      'template_variables["subdomain"] is not a variable of the template github, which has none',
    ]);
    const both = violationsOf("keycloak", { hots: "x", realm: "a/b" });
    expect(both.map((violation) => violation.split(" ")[0])).toEqual([
      'template_variables["hots"]',
      'template_variables["host"]',
      'template_variables["realm"]',
    ]);
    expect(violationsOf("zendesk", { ["__proto__"]: "x", subdomain: "acme" })).toHaveLength(1);
  });

  it.each(hostile)("of a label do not take %s", (_why, value) => {
    expect(violationsOf("zendesk", { subdomain: value })[0]).toMatch(
      /^template_variables\["subdomain"\] must /,
    );
  });

  it.each(hostile.filter(([why]) => why !== "a sub-subdomain where one label is allowed"))(
    "of a path do not take %s",
    (_why, value) => {
      const host = "id.acme.example";
      if (/^(a{64}|evil\.)$/.test(value)) return;
      expect(violationsOf("keycloak", { host, realm: value })[0]).toMatch(/^template_variables\["realm"\] /);
    },
  );

  it.each([
    ["127.1", "another spelling of an address"],
    ["0x7f.0.0.1", "another spelling of an address"],
    ["acme.example:443", "the port that goes without saying"],
  ])("of a whole host do not take %s, %s", (host) => {
    expect(violationsOf("fusionauth", { host })).toEqual(
      expect.arrayContaining([expect.stringContaining("leads out of the template's host and path")]),
    );
  });
});

describe("a pattern that lets everything through", () => {
  const template = templateOf({
    name: "open",
    display_name: "Open",
    category: "test",
    auth_type: "oauth2",
    auth_url: "https://{a}.fixed.example/x/{b}/y",
    token_url: "https://{a}.fixed.example/t",
    docs_url: "https://fixed.example",
    variables: {
      a: { description: "A", pattern: "(?s).*", example: "a" },
      b: { description: "B", pattern: "(?s).*", example: "b" },
    },
  });

  it.each(hostile.filter(([, value]) => value !== "-a" && !/^(a\.b|a{64}|evil\.)$/.test(value)))(
    "still keeps out %s",
    (_why, value) => {
      expect(() => instantiate(template, { a: value, b: "b" })).toThrow(InvalidArgument);
      // In a path a colon ends nothing.
      if (value === "evil.com:443") return;
      expect(() => instantiate(template, { a: "a", b: value })).toThrow(InvalidArgument);
    },
  );

  it("keeps the host under the fixed suffix", () => {
    const { authUrl } = instantiate(template, { a: "x.y", b: "c" });
    expect(new URL(authUrl).hostname).toBe("x.y.fixed.example");
  });
});
