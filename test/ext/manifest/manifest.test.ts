// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of manifests look like this
import { describe, expect, it } from "vitest";
import { DocumentError, formatViolations } from "../../../src/document/document_error.js";
import { readManifest } from "../../../src/ext/manifest/manifest.js";
import { escapeVariables, expandVariables } from "../../../src/ext/manifest/variables.js";
import { InvalidArgument, NotFound } from "../../../src/model/errors.js";
import { profileOfContract } from "../../../src/model/providers/contract_profile.js";

const variables = { ID: "id", EMPTY: "", GITHUB_SECRET: 's3cret"\n  - evil: [', DOLLAR: "${ID}" };

const read = (text: string) => readManifest(text, { variables });

function violationsOf(text: string, options: Partial<Parameters<typeof readManifest>[1]> = {}): string[] {
  try {
    readManifest(text, { variables, ...options });
  } catch (error) {
    if (error instanceof DocumentError) return formatViolations(error);
    throw error;
  }
  throw new Error("the manifest was taken");
}

describe("variables", () => {
  it.each([
    ["a${ID}b", "aidb", []],
    ["$$", "$", []],
    ["$${ID}", "${ID}", []],
    ["$$$${ID}", "$${ID}", []],
    ["$$${ID}", "$id", []],
    ["$ID and 5$", "$ID and 5$", []],
    ["${EMPTY}", "", []],
    ["${DOLLAR}", "${ID}", []],
    ["${NONE}${NEITHER}", "", ["the variable NONE is not set", "the variable NEITHER is not set"]],
  ])("%s", (text, expected, violations) => {
    expect(expandVariables(text, variables)).toMatchObject({ text: expected, violations });
  });

  it.each(["${", "${}", "${A-B}", "${1A}", "${A B}", "${A"])("refuses %s", (text) => {
    expect(expandVariables(text, variables).violations).toHaveLength(1);
  });

  it("knows no variables that were not given", () => {
    expect(expandVariables("${constructor}", variables).violations).toHaveLength(1);
  });

  it.each(["$", "$$", "${A}", "a$b"])("escapes %s", (text) => {
    expect(expandVariables(escapeVariables(text), {}).text).toBe(text);
  });
});

const github = `
providers:
  - name: github
    client_id: \${ID}
    client_secret: \${GITHUB_SECRET}
    auth_url: https://github.com/a
    token_url: https://github.com/t
`;

describe("a manifest", () => {
  it("expands inside values after it was parsed, so that a value cannot break the document", () => {
    const { profiles, prune, secrets } = read(github);
    expect(prune).toBe(false);
    expect(profiles).toHaveLength(1);
    expect(profiles[0]?.settings).toMatchObject({ name: "github", clientId: "id", authType: "oauth2" });
    expect(profiles[0]?.clientSecret?.reveal()).toBe(variables.GITHUB_SECRET);
    expect(secrets).toEqual(new Set([variables.GITHUB_SECRET]));
  });

  it("takes the contract's keys, the typed ones, anchors and an empty list", () => {
    expect(read("providers: []\nprune: true").prune).toBe(true);
    const { profiles } = read(`
providers:
  - &one
    name: one
    auth_type: api_key
    params: {header_name: X-Key, credential_schema: {type: object}}
  - name: two
    auth_type: api_key
    strategy: {type: query_param, config: {param_name: key}}
    scopes: [a]
  - name: three
    issuer: https://i.example
    enable_discovery: true
    client_id: x
    token_endpoint_auth_method: none
    refresh_window: 60s
    authorization_params: &p {prompt: login}
    oauth2_options: {scope_separator: ",", token_params: *p}
`);
    expect(profiles.map(({ settings }) => settings)).toMatchObject([
      { strategy: { headerName: "X-Key" }, credentialSchema: { type: "object" } },
      { strategy: { kind: "query_param", paramName: "key" } },
      { refreshWindowMs: 60_000, oauth2: { scopeSeparator: ",", tokenParams: { prompt: "login" } } },
    ]);
  });

  const profile = (...lines: string[]) =>
    `providers:\n  - name: p\n${lines.map((line) => `    ${line}\n`).join("")}`;
  const key = (...lines: string[]) => profile("auth_type: api_key", ...lines);
  it.each([
    ["nothing", "", ["1:1: providers: must be a list of profiles"]],
    ["a text", "hello", ["1:1: providers: must be a list of profiles"]],
    ["no list", "prune: true\nproviders: {a: b}", ["2:12: providers: must be a list of profiles"]],
    ["a profile that is none", "providers: [5]", ["1:13: a profile must be keys and values"]],
    [
      "an unknown key above",
      "providers: []\nprviders: []",
      ["2:1: prviders: is not a key; did you mean providers?"],
    ],
    [
      "an unknown key",
      key("colour: x"),
      [expect.stringMatching(/^4:5: colour: is not a key; these are: name, /)],
    ],
    ["a mistyped key", key("catgory: x"), ["4:5: catgory: is not a key; did you mean category?"]],
    [
      "a mistyped type alone",
      profile("auth_typ: api_key", "credential_schema: {}"),
      ["3:5: auth_typ: is not a key; did you mean auth_type?"],
    ],
    [
      "mistyped keys, and what is missing besides",
      profile("client_idd: x", "client_secret: y", "auth_urll: https://a.b"),
      [
        "2:5: token_url: is required without enable_discovery",
        "3:5: client_idd: is not a key; did you mean client_id?",
        "5:5: auth_urll: is not a key; did you mean auth_url?",
      ],
    ],
    [
      "a key that is not like any, and what is missing",
      profile("colour: red", "client_id: x", "client_secret: y", "auth_url: https://a.b"),
      [
        "2:5: token_url: is required without enable_discovery",
        expect.stringMatching(/^3:5: colour: is not a key/),
      ],
    ],
    [
      "a key too long to be guessed",
      key(`category${"y".repeat(60)}: x`),
      [expect.stringMatching(/; these are: /)],
    ],
    ["prune that is no flag", "providers: []\nprune: maybe", ["2:8: prune: must be true or false"]],
    [
      "a name twice",
      "providers:\n  - {name: a, auth_type: api_key}\n  - {name: A, auth_type: api_key}",
      ["3:12: name: a stands in line 2 already"],
    ],
    ["a key twice", key("category: a", "category: b"), ["5:5: this key stands here twice"]],
    ["a broken quote", key(`category: "a`), [expect.stringMatching(/^\d+:\d+: a quote/)]],
    [
      "two documents",
      "providers: []\n---\nproviders: []",
      [expect.stringMatching(/^2:1: the file holds more/)],
    ],
    ["a tag", key("category: !secret x"), ["4:15: tags are not known here"]],
    ["an unset variable", key("category: ${NONE}"), ["4:15: category: the variable NONE is not set"]],
    ["one in a list", key("scopes: [a, 'x${NONE}']"), ["4:17: scopes[1]: the variable NONE is not set"]],
    ["a number", key("category: 5"), ["4:15: category: must be text, not a value of type number"]],
    [
      "a flag in a text",
      profile(
        "client_id: x",
        "client_secret: y",
        "auth_url: https://a.b",
        "token_url: https://a.b",
        "enable_discovery: 'yes'",
      ),
      ["7:23: enable_discovery: must be true or false, not a value of type string"],
    ],
    [
      "what the judgement of a profile finds",
      profile("client_id: x", "auth_url: http://p.example"),
      [
        "2:5: client_secret: is required unless token_endpoint_auth_method is none (a public client)",
        "2:5: token_url: is required without enable_discovery",
        "4:15: auth_url: must be an https URL (http only on loopback)",
      ],
    ],
    [
      "a parameter of the protocol",
      profile(
        "client_id: x",
        "client_secret: y",
        "auth_url: https://a.b",
        "token_url: https://a.b",
        "params:",
        "  state: x",
      ),
      ['8:14: params["state"]: is a parameter of the protocol and cannot be set'],
    ],
    [
      "an unknown type alone",
      profile("auth_type: magic"),
      [expect.stringMatching(/^3:16: auth_type: must be one of oauth2, api_key/)],
    ],
    [
      "a strategy without a name",
      profile("auth_type: query_param"),
      ["2:5: strategy.query_param.param_name: is required"],
    ],
    [
      "a scope with a space",
      key("scopes: ['a b']"),
      [expect.stringMatching(/^4:14: scopes\[0\]: must be one scope/)],
    ],
    ["a window that is too long", key("refresh_window: 2d"), ["4:21: refresh_window: must be 1s to 86400s"]],
    [
      "a template without a catalogue",
      key("template: github"),
      ["4:15: template: no catalogue is at hand here"],
    ],
    [
      "infinity",
      key("params: {a: .inf}"),
      ["4:17: params.a: is a value that cannot be used here: put it into quotes"],
    ],
    ["a merge key", key("<<: {category: x}"), [expect.stringMatching(/^4:5: <<: is not a key/)]],
    ["an alias of nothing", key("category: *x"), [expect.stringMatching(/^4:15: /)]],
  ] as [string, string, string[]][])("says where it is broken: %s", (_name, text, expected) => {
    expect(violationsOf(text)).toEqual(expected);
  });

  it("stops aliases that unfold without end", () => {
    const laughs = Array.from(
      { length: 12 },
      (_, index) => `  l${index + 1}: &l${index + 1} [${`*l${index}, `.repeat(9)}]`,
    );
    const bomb = `providers: []\nx:\n  l0: &l0 [a]\n${laughs.join("\n")}\n`;
    expect(violationsOf(bomb)).toEqual([expect.stringContaining("unfold into too much")]);
    expect(violationsOf("providers: &a [*a]")).toEqual([expect.stringContaining("unfold into too much")]);
  });

  it("quotes no value in an error", () => {
    const texts = [
      `${github}    extra: s3cret\n  bad`,
      `providers:\n  - name: a\n    client_secret: s3cret s3cret: s3cret\n`,
      `providers:\n  - name: a\n    client_secret: "s3cret\\q"\n`,
      `providers:\n  - name: a\n    client_secret: [s3cret]\n`,
      `providers:\n  - name: a\n    client_secret: @s3cret\n`,
      `providers:\n  - name: a\n    client_secret: *s3cret\n`,
      `providers:\n  - name: a\n    client_secret: s3cret\n    auth_url: s3cret\n`,
    ];
    for (const text of texts) expect(violationsOf(text).join("\n")).not.toContain("s3cret");
  });
});

describe("a template", () => {
  const templates = {
    instantiate: (name: string, given: Readonly<Record<string, string>>) => {
      if (name !== "shop") throw new NotFound("provider");
      if (!given["subdomain"]) {
        throw new InvalidArgument([{ field: "template_variables.subdomain", description: "is required" }]);
      }
      const url = `https://${given["subdomain"]}.example`;
      const params = { prompt: "login", header_name: "X-Shop", skip_scope_on_auth: true };
      return profileOfContract({
        name,
        auth_url: `${url}/a`,
        token_url: `${url}/t`,
        scopes: ["read"],
        params,
        oauth2_options: { scope_separator: "," },
      }).settings;
    },
  };
  const shop = (line: string) =>
    `providers:\n  - name: mine\n    client_id: x\n    client_secret: y\n    scopes: [write]\n    ${line}\n`;

  it("fills what the profile leaves open", () => {
    const text = shop("template: shop\n    template_variables: {subdomain: acme}");
    expect(readManifest(text, { variables, templates }).profiles[0]?.settings).toMatchObject({
      name: "mine",
      authUrl: "https://acme.example/a",
      scopes: ["write"],
    });
  });

  const options = { scopeSeparator: ",", skipScopeOnAuth: true };
  it.each([
    [
      "params: {hd: x}",
      {
        authorizationParams: { prompt: "login", hd: "x" },
        strategy: { headerName: "X-Shop" },
        oauth2: options,
      },
    ],
    [
      "params: {header_name: X-Mine}",
      { authorizationParams: { prompt: "login" }, strategy: { headerName: "X-Mine" } },
    ],
    ["authorization_params: {prompt: none}", { authorizationParams: { prompt: "none" } }],
    ["oauth2_options: {omit_pkce: true}", { oauth2: { ...options, omitPkce: true } }],
    [
      "issuer: https://i.example\n    enable_discovery: true",
      { authUrl: "", tokenUrl: "", enableDiscovery: true },
    ],
  ])("adds to its parameters and options: %s", (line, expected) => {
    const text = shop(`template: " Shop"\n    template_variables: {subdomain: acme}\n    ${line}`);
    expect(readManifest(text, { variables, templates }).profiles[0]?.settings).toMatchObject(expected);
  });

  it.each([
    ["template: none", "6:15: template: is not in the catalogue"],
    ["template: shop", "2:5: template_variables.subdomain: is required"],
    ["template: [shop]", "6:15: template: must be the name of a template"],
    ["template_variables: {a: b}", "2:5: template: must be the name of a template"],
  ])("says where it is broken: %s", (line, expected) => {
    expect(violationsOf(shop(line), { templates })).toContain(expected);
  });
});
