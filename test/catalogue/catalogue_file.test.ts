import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { Catalogue } from "../../src/catalogue/catalogue.js";
import { CatalogueError } from "../../src/catalogue/catalogue_error.js";
import { parseCatalogue } from "../../src/catalogue/catalogue_file.js";
import { temporaryFolder } from "../temporary_folder.js";

const folder = temporaryFolder();

function write(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

function violationsOf(text: string): readonly string[] {
  try {
    parseCatalogue("c.yaml", text);
  } catch (error) {
    if (error instanceof CatalogueError) return error.violations;
    throw error;
  }
  return [];
}

const acme = `
providers:
  - name: acme
    display_name: Acme CRM
    category: crm
    auth_type: oauth2
    auth_url: https://{subdomain}.acme.example/authorize
    token_url: https://{subdomain}.acme.example/token
    scopes: [read]
    variables:
      subdomain: { description: Your part of the host name, example: blue }
    docs_url: https://acme.example/docs
`;

describe("a catalogue of one's own", () => {
  it("adds to the built-in one, in YAML", async () => {
    const catalogue = await Catalogue.open(write("own.yaml", acme));
    expect(catalogue.instantiate("acme", { subdomain: "blue" })).toMatchObject({
      tokenUrl: "https://blue.acme.example/token",
      description: "Acme CRM",
      strategy: { kind: "oauth2", valuePrefix: "Bearer " },
    });
    expect(catalogue.get("github").displayName).toBe("GitHub");
    expect(catalogue.list({ limit: 1, namePrefix: "ac" }).map(({ name }) => name)).toEqual(["acme"]);
  });

  it("replaces entries of the same name whole, in JSON", async () => {
    const own = {
      $schema: "./catalogue.schema.json",
      providers: [
        {
          name: "github",
          display_name: "Our GitHub",
          category: "developer",
          auth_type: "api_key",
          docs_url: "https://wiki.acme.example",
        },
      ],
    };
    const catalogue = await Catalogue.open(write("own.json", JSON.stringify(own)));
    const builtIn = await Catalogue.open(undefined);
    expect(catalogue.get("github")).toMatchObject({ displayName: "Our GitHub", notes: [] });
    expect(catalogue.get("github").settings).toMatchObject({
      authUrl: "",
      strategy: { kind: "header", headerName: "X-API-Key", valuePrefix: "" },
    });
    expect(catalogue.list({ limit: 1000 }).length).toBe(builtIn.list({ limit: 1000 }).length);
  });

  it("that cannot be read says so", async () => {
    const file = join(folder, "none.yaml");
    await expect(Catalogue.open(file)).rejects.toThrow(
      `the catalogue ${file} cannot be used:\n  it cannot be read: ENOENT`,
    );
  });

  it.each([
    ["no YAML", "providers: [", /^1:13: /],
    ["a key twice", "providers: []\nproviders: []\n", /^2:1: this key stands here twice/],
    ["nothing", "", /^1:1: must be object/],
    ["another shape", "[]", /^1:1: must be object/],
    ["a top-level key", `${acme}extra: 1\n`, /^\d+:8: must NOT have additional properties \("extra"\)/],
    [
      "a key that is unknown",
      acme.replace("scopes:", "scope:"),
      /^9:12: providers\[0\] \(acme\): must NOT have additional properties \("scope"\)/,
    ],
    [
      "a key that is missing",
      acme.replace("    category: crm\n", ""),
      /^3:5: providers\[0\] \(acme\): must have required property 'category'/,
    ],
    [
      "an unknown type",
      acme.replace("auth_type: oauth2", "auth_type: oauth3"),
      /^6:16: providers\[0\] \(acme\)\.auth_type: must be equal to one of the allowed values \(oauth2, /,
    ],
    [
      "a plain URL",
      acme.replace("token_url: https", "token_url: http"),
      /^8:16: providers\[0\] \(acme\)\.token_url: must match pattern/,
    ],
    [
      "a user in a URL",
      acme.replace("token_url: https://", "token_url: https://u:p@"),
      /^8:16: providers\[0\] \(acme\)\.token_url: must match pattern/,
    ],
    [
      "a variable without a description",
      acme.replace("/token", "/{realm}/token"),
      /^8:16: providers\[0\] \(acme\)\.token_url: holds \{realm\}, which variables does not describe/,
    ],
    [
      "a variable that stands nowhere",
      acme.replace("      subdomain:", "      realm: { description: R, example: r }\n      subdomain:"),
      /^11:14: providers\[0\] \(acme\)\.variables\.realm: stands in no URL/,
    ],
    [
      "a pattern that RE2 does not know",
      acme.replace("example: blue", 'example: blue, pattern: "(?=a)"'),
      /\(acme\)\.variables\.subdomain\.pattern: is not RE2/,
    ],
    [
      "an example that does not fit",
      acme.replace("example: blue", "example: blue, pattern: '[0-9]+'"),
      /\(acme\)\.variables\.subdomain\.example: must have the form of/,
    ],
    [
      "a default that does not fit",
      acme.replace("example: blue", "example: blue, default: a/b"),
      /\(acme\)\.variables\.subdomain\.default: must have the form of/,
    ],
    [
      "keys beside discovery",
      acme.replace(
        "scopes:",
        "issuer: https://acme.example\n    enable_discovery: true\n    jwks_url: https://acme.example/keys\n    scopes:",
      ),
      /\(acme\)\.jwks_url: must be empty with enable_discovery/,
    ],
    [
      "a parameter of the protocol",
      acme.replace("scopes:", "authorization_params: { state: x }\n    scopes:"),
      /\(acme\)\.authorization_params\["state"\]: is a parameter of the protocol/,
    ],
    [
      "a secret as metadata",
      acme.replace("scopes:", "oauth2_options: { token_metadata: [refresh_token] }\n    scopes:"),
      /\(acme\)\.oauth2_options\.token_metadata\[0\]: names a secret/,
    ],
    [
      "a strategy of another type",
      acme.replace("scopes:", "strategy: { type: query_param, param_name: key }\n    scopes:"),
      /\(acme\)\.strategy: must be oauth2 for oauth2, not query_param/,
    ],
    [
      "a name twice",
      acme + acme.replace("\nproviders:\n", ""),
      /^13:11: providers\[1\] \(acme\)\.name: is taken by providers\[0\]/,
    ],
  ])("with %s is refused by place and entry", (_why, text, violation) => {
    expect(violationsOf(text)[0]).toMatch(violation);
  });

  it("shows the first errors of many", () => {
    const entries = Array.from({ length: 60 }, (_, index) => `  - { name: n${index} }`).join("\n");
    const violations = violationsOf(`providers:\n${entries}\n`);
    expect(violations).toHaveLength(21);
    expect(violations.at(-1)).toMatch(/^and \d+ more$/);
  });
});
