import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { SignedIn, SignInFailure } from "../../../../src/core/registry.js";
import { readIssuers } from "../../../../src/ext/identity/issuers_document.js";
import type { SignInIssuer } from "../../../../src/ext/identity/sign_in/issuer_client.js";
import { openSignIn, SignIns } from "../../../../src/ext/identity/sign_in/sign_ins.js";
import { OutboundError, type OutboundFetch } from "../../../../src/outbound/outbound_fetch.js";
import { JwtSigner } from "../../../fakes/jwt_issuer.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { temporaryFolder } from "../../../temporary_folder.js";

const startMs = 1_800_000_000_000;
const corp = new JwtSigner("corp", "RS256");
const redirectUri = "https://console.example/sign-in/admins/callback";

const file = `issuers:
  - name: admins
    issuer: https://id.example
    audience: nexusd-console
    claims: { groups: nexusd-admins }
    sign_in: &corp { title: Example Corp, scopes: [groups], session: 1h }
  - name: operators
    issuer: https://id.example
    audience: nexusd-console
    claims: { groups: nexusd-operators }
    sign_in: *corp
  - name: other
    issuer: https://other.example
    audience: nexusd
    subject: email
    sign_in: { title: Other }
`;

type Document = Readonly<Record<string, unknown>>;

/** An issuer that answers the next code with what the test says. */
class Issuer {
  document: Document = {};
  isDown = false;
  readonly forms: URLSearchParams[] = [];
  /** Of the next id_token, over those that are right. */
  claims: Document = {};
  signer = corp;
  nonce = "";

  readonly fetch: OutboundFetch = async (url, { body }) => {
    if (this.isDown) throw new OutboundError("network", "before_send", "id.example", "ECONNREFUSED");
    const { origin: issuer, pathname } = new URL(url);
    if (pathname === "/.well-known/openid-configuration") return answer(this.#metadata(issuer));
    if (pathname === "/jwks") return answer({ keys: [corp.jwk] });
    const form = new URLSearchParams(String(body));
    this.forms.push(form);
    if (form.get("code") !== "good") return answer({ error: "invalid_grant" }, 400);
    const exp = startMs / 1_000 + 300;
    const right = { iss: issuer, aud: "nexusd-console", sub: "ada", exp, iat: exp - 300, nonce: this.nonce };
    const id_token = this.signer.sign({ claims: { ...right, ...this.claims } });
    return answer({ access_token: "t0ken", token_type: "Bearer", id_token });
  };

  #metadata(issuer: string): Document {
    return {
      issuer,
      authorization_endpoint: `${issuer}/auth?tenant=1`,
      token_endpoint: `${issuer}/token`,
      jwks_uri: `${issuer}/jwks`,
      authorization_response_iss_parameter_supported: true,
      id_token_signing_alg_values_supported: ["RS256"],
      ...this.document,
    };
  }
}

function answer(json: object, status = 200) {
  return { status, headers: new Headers(), text: async () => JSON.stringify(json) };
}

function world(text = file) {
  const issuer = new Issuer();
  const clock = new ManualClock(startMs);
  const lines: string[] = [];
  const write = (fields: object, message?: string) => void lines.push(JSON.stringify({ ...fields, message }));
  const log = { debug: write, info: write, warn: write, error: write, fatal: write } as never;
  const issuers = readIssuers(text, false) as readonly SignInIssuer[];
  const signIn = new SignIns(issuers, { outbound: issuer.fetch, clock, log });
  const clientOf = (name: string) => {
    const client = signIn.clients.find((each) => each.name === name);
    if (!client) throw new Error(`no client ${name}`);
    return client;
  };
  const begin = async (name = "admins", returnTo = "/") => {
    const begun = await signIn.begin(clientOf(name), { redirectUri, returnTo });
    if (begun.kind === "failed") return begun;
    const { searchParams } = new URL(begun.url);
    issuer.nonce = searchParams.get("nonce") ?? "";
    return { ...begun, params: searchParams, state: searchParams.get("state") ?? "" };
  };
  const finish = (binding: string | undefined, query: Record<string, string>, name = "admins") =>
    signIn.finish(clientOf(name), { redirectUri, binding, query: new URLSearchParams(query) });
  /** As a browser does it. */
  const signedIn = async (change: Record<string, string> = {}): Promise<SignedIn | SignInFailure> => {
    const begun = await begin();
    if (begun.kind === "failed") return begun;
    return finish(begun.binding, { code: "good", state: begun.state, iss: "https://id.example", ...change });
  };
  return { issuer, clock, lines, signIn, begin, finish, signedIn };
}

const whyOf = (outcome: SignedIn | SignInFailure) => (outcome.kind === "failed" ? outcome.why : outcome.kind);

describe("a sign-in", () => {
  it("asks the issuer with PKCE, state, nonce, and the scopes of the file", async () => {
    const { signIn, begin } = world();
    expect(signIn.clients.map(({ name, title }) => [name, title])).toEqual([
      ["admins", "Example Corp"],
      ["other", "Other"],
    ]);
    const begun = await begin();
    if (begun.kind === "failed") throw new Error(begun.why);
    const { state, nonce, code_challenge, ...rest } = Object.fromEntries(begun.params);
    expect(rest).toEqual({
      ...{ tenant: "1", response_type: "code", client_id: "nexusd-console", redirect_uri: redirectUri },
      ...{ scope: "openid groups", code_challenge_method: "S256" },
    });
    const secrets = [state, nonce, code_challenge];
    expect(secrets.every((text) => /^[\w-]{43}$/.test(text ?? ""))).toBe(true);
    expect(new Set(secrets).size).toBe(3);
    const shown = Buffer.from(begun.binding.split(".")[0] ?? "", "base64url").toString();
    expect(secrets.filter((text) => shown.includes(text ?? "-"))).toEqual([]);
  });

  it("takes a response that the issuer signs, where it returns no other, and none that nobody signed", async () => {
    const { issuer, begin, finish } = world();
    issuer.document = { response_modes_supported: ["jwt", "form_post"] };
    issuer.claims = { groups: ["nexusd-admins"] };
    const exp = startMs / 1_000 + 300;
    const signedBy = async (signer: JwtSigner, aud = "nexusd-console") => {
      const begun = await begin();
      if (begun.kind === "failed") throw new Error(begun.why);
      expect(begun.params.get("response_mode")).toBe("jwt");
      const claims = { iss: "https://id.example", aud, exp, code: "good", state: begun.state };
      return whyOf(await finish(begun.binding, { response: signer.sign({ claims }) }));
    };
    expect(await signedBy(corp)).toBe("signed_in");
    expect(await signedBy(corp, "other")).toBe("rejected");
    expect(await signedBy(new JwtSigner("corp", "RS256"))).toBe("rejected");
    const begun = await begin();
    if (begun.kind === "failed") throw new Error(begun.why);
    const plain = { code: "good", state: begun.state, iss: "https://id.example" };
    expect(whyOf(await finish(begun.binding, plain))).toBe("rejected");
  });

  it.each([
    [["nexusd-admins", "staff"], "jwt:admins:ada"],
    [["nexusd-operators"], "jwt:operators:ada"],
    [["nexusd-operators", "nexusd-admins"], "jwt:admins:ada"],
    ["nexusd-operators", "jwt:operators:ada"],
  ])("with the groups %j is that of %s, for an hour", async (groups, name) => {
    const { issuer, signedIn } = world();
    issuer.claims = { groups };
    expect(await signedIn()).toEqual({
      kind: "signed_in",
      principal: { name, kind: "jwt", expiresAtMs: startMs + 3_600_000 },
      returnTo: "/",
    });
    expect(issuer.forms[0]?.get("code_verifier")).toMatch(/^[\w-]{43}$/);
  });

  it("of somebody without a claim that the file names is refused, and the log says which is missing", async () => {
    const { issuer, signedIn, lines } = world();
    for (const groups of [undefined, [], ["nexusd-admin"], ["NEXUSD-ADMINS"], "nexusd-admins,x", { a: 1 }]) {
      issuer.claims = { groups };
      expect(await signedIn()).toEqual({ kind: "failed", why: "no_claims", subject: "ada" });
    }
    expect(lines.join("\n")).toContain("admins: its claim groups is another one");
    expect(lines.join("\n")).not.toMatch(/good|t0ken/);
  });

  it.each<[string, Document]>([
    ["another audience", { aud: "other" }],
    ["two audiences, for another client", { aud: ["nexusd-console", "other"], azp: "other" }],
    ["another nonce", { nonce: "another" }],
    ["no nonce", { nonce: undefined }],
    ["another issuer", { iss: "https://other.example" }],
    ["a time that is over", { exp: startMs / 1_000 - 60 }],
    ["no subject", { sub: "" }],
  ])("whose id_token has %s is refused", async (_, claims) => {
    const { issuer, signedIn } = world();
    issuer.claims = { groups: "nexusd-admins", ...claims };
    expect(whyOf(await signedIn())).toBe("rejected");
  });

  it("whose id_token another key signed is refused", async () => {
    const { issuer, signedIn } = world();
    issuer.claims = { groups: "nexusd-admins" };
    issuer.signer = new JwtSigner("corp", "RS256");
    expect(whyOf(await signedIn())).toBe("rejected");
  });

  it.each<[string, Record<string, string>, string]>([
    ["another state", { state: "x" }, "over"],
    ["no state", { state: "" }, "over"],
    ["the name of another issuer", { iss: "https://other.example" }, "rejected"],
    ["no name of an issuer that sends it", { iss: "" }, "rejected"],
    ["a code that was used", { code: "used" }, "rejected"],
    ["no code", { code: "" }, "rejected"],
    ["an id_token beside the code", { id_token: "x" }, "rejected"],
    ["the no of the person", { error: "access_denied" }, "declined"],
  ])("whose response has %s is refused", async (_, change, why) => {
    const { issuer, signedIn } = world();
    issuer.claims = { groups: "nexusd-admins" };
    expect(whyOf(await signedIn(change))).toBe(why);
    expect(issuer.forms.length).toBe("code" in change && change["code"] === "used" ? 1 : 0);
  });

  it("works once, within ten minutes, in the browser that began it, and at the address of its issuer", async () => {
    const { issuer, begin, finish, clock } = world();
    issuer.claims = { groups: "nexusd-admins" };
    const begun = await begin();
    if (begun.kind === "failed") throw new Error(begun.why);
    const { binding, state } = begun;
    const query = { code: "good", state, iss: "https://id.example" };
    const another = await begin();
    const foreign = another.kind === "failed" ? "" : another.binding;
    expect(whyOf(await finish(undefined, query))).toBe("over");
    expect(whyOf(await finish(foreign, query))).toBe("over");
    const [text = "", mac = ""] = binding.split(".");
    for (const forged of ["", ".", text, `${text}.`, `${text}.${mac}.`, `${text}x.${mac}`, `e30.${mac}`])
      expect([forged, whyOf(await finish(forged, query))]).toEqual([forged, "over"]);
    expect(whyOf(await finish(binding, query, "other"))).toBe("over");
    expect(whyOf(await finish(binding, query))).toBe("over");

    const third = await begin();
    if (third.kind === "failed") throw new Error(third.why);
    const good = { code: "good", state: third.state, iss: "https://id.example" };
    const both = await Promise.all([finish(third.binding, good), finish(third.binding, good)]);
    expect(both.map(whyOf).sort()).toEqual(["over", "signed_in"]);

    const late = await begin();
    if (late.kind === "failed") throw new Error(late.why);
    clock.advance(600_000);
    expect(whyOf(await finish(late.binding, { ...good, state: late.state }))).toBe("over");
  });

  it("takes an issuer whose clock is ahead for what it is", async () => {
    const { issuer, signedIn } = world();
    const iat = startMs / 1_000 + 120;
    issuer.claims = { groups: "nexusd-admins", iat, exp: iat + 300 };
    expect(whyOf(await signedIn())).toBe("signed_in");
  });

  it.each([
    ["the subject", "subject: email"],
    ["a claim", "claims: { email: ada@example.org }"],
  ])("does not believe an address that nobody verified, as %s", async (_, line) => {
    const { issuer, begin, finish, lines } = world(file.replace("subject: email", line));
    const outcomes = [];
    for (const email_verified of [false, "false", null, true, undefined]) {
      const begun = await begin("other");
      if (begun.kind === "failed") throw new Error(begun.why);
      issuer.claims = { aud: "nexusd", email: "ada@example.org", email_verified };
      const query = { code: "good", state: begun.state, iss: "https://other.example" };
      outcomes.push(whyOf(await finish(begun.binding, query, "other")));
    }
    expect(outcomes).toEqual(["no_claims", "no_claims", "no_claims", "signed_in", "no_claims"]);
    expect(lines.join("\n")).toContain("its claim email_verified is not true");
  });

  it("waits for an issuer that is down, and goes by what is known of it while it is", async () => {
    const { issuer, begin, clock } = world();
    issuer.isDown = true;
    expect(await begin()).toEqual({ kind: "failed", why: "unavailable" });
    issuer.isDown = false;
    expect(await begin()).toEqual({ kind: "failed", why: "unavailable" });
    clock.advance(5_000);
    expect((await begin()).kind).toBe("begun");
    issuer.isDown = true;
    clock.advance(600_000);
    expect((await begin()).kind).toBe("begun");
  });

  it.each<[string, Document]>([
    ["of another issuer", { issuer: "https://other.example" }],
    ["without an authorization endpoint", { authorization_endpoint: undefined }],
    ["without keys", { jwks_uri: undefined }],
    ["with an endpoint over http", { token_endpoint: "http://id.example/token" }],
    ["of the issuers of many tenants", { issuer: "https://id.example/{tenantid}" }],
  ])("is not begun by a document %s", async (_, document) => {
    const { issuer, begin } = world();
    issuer.document = document;
    expect(await begin()).toEqual({ kind: "failed", why: "unavailable" });
  });
});

it("needs a client secret that can be read, and sends it as the issuer wants it", async () => {
  const path = join(temporaryFolder(), "console.secret");
  const withFile = file.replace("scopes: [groups]", `client_secret_file: ${path}`);
  const { clock } = world();
  const open = () =>
    openSignIn(readIssuers(withFile, false), {
      ...{ networks: { allowLoopback: false, privateNetworks: [] } as never, proxies: undefined, clock },
      log: { warn: () => undefined } as never,
    });
  expect(open).toThrow(/client_secret_file of the issuer admins: .*console.secret cannot be read \(ENOENT\)/);
  writeFileSync(path, "\n", { mode: 0o600 });
  expect(open).toThrow(/console.secret is empty/);
  writeFileSync(path, "s3cret\n", { mode: 0o600 });
  expect(open().clients.length).toBe(2);
  const { issuer, signedIn } = world(withFile);
  issuer.document = { token_endpoint_auth_methods_supported: ["client_secret_post"] };
  issuer.claims = { groups: "nexusd-admins" };
  expect(whyOf(await signedIn())).toBe("signed_in");
  expect(issuer.forms[0]?.get("client_secret")).toBe("s3cret");
});

it("is what the example of the document says", async () => {
  const text = readFileSync(join(import.meta.dirname, "../../../../docs/console.md"), "utf8");
  const [, block = ""] = /```yaml\n(.*?)```/s.exec(text) ?? [];
  const example = block.replace(/^ {3}/gm, "");
  const signIn = {
    ...{ title: "Example", clientSecretFile: "/etc/nexusd/console.secret", scopes: ["groups"] },
    sessionMs: 8 * 3_600_000,
  };
  expect(readIssuers(example, false)).toMatchObject([
    { name: "admins", claims: { groups: "nexusd-admins" }, signIn },
    { name: "reviewers", claims: { groups: "nexusd-reviewers" }, signIn },
  ]);
});
