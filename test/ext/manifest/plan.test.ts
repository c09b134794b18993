// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of manifests look like this
import { describe, expect, it } from "vitest";
import { DocumentError } from "../../../src/document/document_error.js";
import { applyPlan } from "../../../src/ext/manifest/apply.js";
import { manifestText, secretVariable } from "../../../src/ext/manifest/commands/manifest_run.js";
import { readManifest } from "../../../src/ext/manifest/manifest.js";
import { type CurrentProfile, hasDrift, type PlanOptions, planOf } from "../../../src/ext/manifest/plan.js";
import type { JsonObject } from "../../../src/model/json.js";
import { profileOfContract } from "../../../src/model/providers/contract_profile.js";

const github: JsonObject = {
  name: "github",
  client_id: "id",
  auth_url: "https://github.com/a",
  token_url: "https://github.com/t",
};

function current(json: JsonObject, more: Partial<CurrentProfile> = {}): CurrentProfile {
  const { settings, violations } = profileOfContract(json);
  expect(violations).toEqual([]);
  const clientSecretSet = settings.authType === "oauth2" && settings.tokenEndpointAuthMethod !== "none";
  return { id: `id-of-${settings.name}`, etag: "v1", settings, clientSecretSet, ...more };
}

/** Of a manifest in JSON, which is YAML too. */
function plan(profiles: JsonObject[], present: CurrentProfile[], options: Partial<PlanOptions> = {}) {
  const manifest = readManifest(JSON.stringify({ providers: profiles }), { variables: {} });
  return planOf(manifest, present, { prune: false, ...options });
}

const withSecret = { ...github, client_secret: "s3cret-value" };

describe("a plan", () => {
  it("is empty when nothing differs", () => {
    const answer = plan([withSecret], [current(github)]);
    expect(answer).toEqual({ changes: [], unchanged: 1 });
    expect(hasDrift(answer)).toBe(false);
  });

  it("creates, and masks the secret wherever it stands", () => {
    const { changes } = plan([{ ...withSecret, description: "the s3cret-value of github" }], []);
    expect(changes).toMatchObject([{ action: "create", name: "github" }]);
    const shown = changes[0]?.action === "create" ? changes[0].differences : [];
    expect(shown).toContainEqual({ field: "client_secret", before: undefined, after: "********" });
    expect(shown).toContainEqual({
      field: "description",
      before: undefined,
      after: "the ******** of github",
    });
    expect(JSON.stringify(shown)).not.toContain("s3cret-value");
  });

  const updates: [string, JsonObject, JsonObject, string[], object[]][] = [
    [
      "a text",
      {},
      { description: "d" },
      ["description"],
      [{ field: "description", before: undefined, after: "d" }],
    ],
    [
      "a field that was removed",
      { scopes: ["a"] },
      {},
      ["scopes"],
      [{ field: "scopes", before: ["a"], after: undefined }],
    ],
    [
      "parameters by their names",
      { params: { prompt: "login", hd: "x" } },
      { params: { prompt: "consent", hd: "x" } },
      ["authorization_params"],
      [{ field: "authorization_params.prompt", before: "login", after: "consent" }],
    ],
    [
      "the method",
      {},
      { auth_header: "Basic" },
      ["token_endpoint_auth_method"],
      [{ before: "client_secret_post", after: "client_secret_basic" }],
    ],
    [
      "the window",
      { refresh_window: "60s" },
      { refresh_window: "1m30s" },
      ["refresh_window"],
      [{ before: "60s", after: "90s" }],
    ],
    [
      "headers with their values masked",
      { oauth2_options: { token_headers: { "X-Key": "one" }, omit_pkce: true } },
      { oauth2_options: { token_headers: { "X-Key": "two" } } },
      ["oauth2_options"],
      [
        { field: "oauth2_options.token_headers.X-Key", before: "********", after: "********" },
        { field: "oauth2_options.omit_pkce", before: true, after: undefined },
      ],
    ],
    [
      "the strategy",
      {},
      { params: { header_name: "X-T" } },
      ["strategy"],
      [{ field: "strategy.header_name", before: "Authorization", after: "X-T" }],
    ],
    [
      "what is not known",
      { params: { n: 1 } },
      { params: { n: 2 } },
      ["params"],
      [{ field: "params.n", before: 1, after: 2 }],
    ],
  ];
  it.each(updates)("updates %s", (_name, before, after, paths, differences) => {
    const { changes, unchanged } = plan([{ ...withSecret, ...after }], [current({ ...github, ...before })]);
    expect(unchanged).toBe(0);
    expect(changes).toMatchObject([
      { action: "update", update: { id: "id-of-github", etag: "v1", paths }, differences },
    ]);
  });

  it.each([
    ["auth_header and a flat name", { auth_header: "X-K" }, { params: { header_name: "X-K" } }],
    [
      "flat and typed",
      { params: { param_name: "k" } },
      { strategy: { type: "query_param", config: { param_name: "k" } } },
    ],
    ["the default of a profile that REST made, and nothing", { auth_header: "X-API-Key" }, {}],
  ])("does not see how a strategy is spelled: %s", (_name, before, after) => {
    const key = { name: "key", auth_type: "api_key" };
    expect(plan([{ ...key, ...after }], [current({ ...key, ...before })]).changes).toEqual([]);
  });

  it("sends a secret when none is stored, when asked to, or when the daemon says that it differs", () => {
    const present = (more: Partial<CurrentProfile>) => [current(github, more)];
    const paths = (more: Partial<CurrentProfile>, options: Partial<PlanOptions> = {}) =>
      plan([withSecret], present(more), options).changes.flatMap((change) =>
        change.action === "update" ? change.update.paths : [],
      );
    expect(paths({ clientSecretSet: false })).toEqual(["client_secret"]);
    expect(paths({}, { rotateSecrets: true })).toEqual(["client_secret"]);
    expect(paths({ holdsSecret: (secret) => secret.reveal() === "another" })).toEqual(["client_secret"]);
    expect(paths({ holdsSecret: (secret) => secret.reveal() === "s3cret-value" })).toEqual([]);
  });

  it("erases the secret of a client that became public", () => {
    const { changes } = plan([{ ...github, token_endpoint_auth_method: "none" }], [current(github)]);
    expect(changes).toMatchObject([
      { update: { clientSecret: null, paths: ["token_endpoint_auth_method", "client_secret"] } },
    ]);
  });

  it("leaves unmanaged providers alone unless it may prune", () => {
    const kept = plan([], [current(github)]);
    expect(kept.changes).toEqual([{ action: "unmanaged", name: "github", id: "id-of-github" }]);
    expect(hasDrift(kept)).toBe(false);
    const pruned = plan([], [current(github)], { prune: true });
    expect(pruned.changes).toMatchObject([{ action: "delete" }]);
    expect(hasDrift(pruned)).toBe(true);
  });

  it("refuses another type, and says where", () => {
    const another = () => plan([{ name: "github", auth_type: "api_key" }], [current(github)]);
    expect(another).toThrow(DocumentError);
    try {
      another();
    } catch (error) {
      expect((error as DocumentError).violations).toMatchObject([
        { message: expect.stringMatching(/^auth_type: cannot be changed from oauth2/) },
      ]);
    }
  });

  it("is carried out in its order, and a failure ends it", async () => {
    const made: string[] = [];
    const target = {
      create: async ({ name }: { name: string }) => {
        if (name === "b") throw new Error("refused");
        made.push(`+${name}`);
      },
      update: async () => {},
      delete: async (_id: string, name: string) => void made.push(`-${name}`),
    };
    const key = (name: string) => ({ name, auth_type: "api_key" });
    const whole = plan([key("a"), key("c")], [current(github)], { prune: true });
    const done: string[] = [];
    await applyPlan(whole, target, ({ name }) => void done.push(name));
    expect(made).toEqual(["+a", "+c", "-github"]);
    expect(done).toEqual(["a", "c", "github"]);
    made.length = 0;
    await expect(applyPlan(plan([key("a"), key("b"), key("c")], []), target, () => {})).rejects.toThrow(
      "refused",
    );
    expect(made).toEqual(["+a"]);
  });
});

describe("an exported manifest", () => {
  const profiles: JsonObject[] = [
    {
      ...github,
      description: 'costs 5$ and ${NOT_A_VARIABLE}: "yes"',
      scopes: ["a", "b:c"],
      auth_header: "Basic",
    },
    {
      ...github,
      name: "1st-party",
      category: "0123",
      params: { prompt: "login", region: "eu", skip_scope_on_auth: true, n: 5 },
      authorization_params: { region: "eu" },
      oauth2_options: { default_lifetime: "1h", token_headers: { "X-A": "#b" } },
      refresh_window: "90s",
    },
    { ...github, name: "public", token_endpoint_auth_method: "none" },
    { name: "key", auth_type: "api_key", auth_header: "X-Key", credential_schema: { type: "object" } },
    { name: "query", auth_type: "query_param", params: { param_name: "k", other: "text" } },
    {
      name: "hmac",
      auth_type: "hmac_payload",
      params: { header_name: "X-S", algo: "sha1", encoding: "base64" },
    },
    { name: "basic", auth_type: "basic_auth" },
    { name: "aws", auth_type: "aws_sigv4", params: { service: "s3" } },
  ];

  it("plans clean", () => {
    const present = profiles.map((json) => current(json));
    const text = manifestText(present);
    const variables = { GITHUB_CLIENT_SECRET: "one", _1ST_PARTY_CLIENT_SECRET: "two" };
    const answer = planOf(readManifest(text, { variables }), present, { prune: true });
    expect(answer).toEqual({ changes: [], unchanged: profiles.length });
  });

  it("leaves out what has its default", () => {
    expect(manifestText([current({ name: "basic", auth_type: "basic_auth" })])).toBe(
      "providers:\n  - name: basic\n    auth_type: basic_auth\n",
    );
    expect(manifestText([current(github)])).toContain("client_secret: ${GITHUB_CLIENT_SECRET}\n");
  });

  it.each([
    ["github", "GITHUB_CLIENT_SECRET"],
    ["my-app", "MY_APP_CLIENT_SECRET"],
    ["1st", "_1ST_CLIENT_SECRET"],
  ])("names the variable of %s", (name, variable) => {
    expect(secretVariable(name)).toBe(variable);
  });
});
