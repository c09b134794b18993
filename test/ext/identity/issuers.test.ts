import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { StartRefused } from "../../../src/core/registry.js";
import { issuersOf } from "../../../src/ext/identity/issuers_file.js";
import { openJwt } from "../../../src/ext/identity/jwt_verifier.js";
import { JwtSigner } from "../../fakes/jwt_issuer.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { silentLog } from "../../silent_log.js";
import { temporaryFolder } from "../../temporary_folder.js";

const startMs = 1_800_000_000_000;
const exp = startMs / 1000 + 3600;
const cluster = new JwtSigner("cluster");
const github = new JwtSigner("github");

function fileWith(name: string, text: string): string {
  const file = join(temporaryFolder(), name);
  writeFileSync(file, text);
  return file;
}

const keysOf = ({ jwk }: JwtSigner): string => fileWith("jwks.json", JSON.stringify({ keys: [jwk] }));

async function refusal(
  text: string,
  lone?: { readonly issuer: string; readonly audience: string },
): Promise<string> {
  const file = fileWith("issuers.yaml", text);
  const rest = { keys: { from: "discovery", issuer: "" }, caFile: undefined, tokenFile: undefined } as const;
  const full = lone && { ...lone, ...rest, allowLoopback: false };
  const settings = { lone: full, file, allowLoopback: false };
  const error: unknown = await issuersOf(settings).catch((thrown: unknown) => thrown);
  return error instanceof StartRefused ? error.message.replaceAll(file, "FILE") : "started";
}

describe("several issuers", () => {
  const opened = async () => {
    const file = fileWith(
      "issuers.yaml",
      `issuers:
  - name: github
    issuer: https://token.actions.example
    audience: nexusd
    subject: repository
    claims: { repository_owner: acme, environment: production }
    jwks_file: ${keysOf(github)}
`,
    );
    const keys = { from: "file", path: keysOf(cluster) } as const;
    const lone = { issuer: "https://cluster.example", audience: "agents", keys };
    const more = { caFile: undefined, tokenFile: undefined, allowLoopback: false };
    const issuers = await issuersOf({ lone: { ...lone, ...more }, file, allowLoopback: false });
    const jwt = openJwt(issuers, { clock: new ManualClock(startMs), log: silentLog });
    return async (signer: JwtSigner, claims: object): Promise<string | undefined> =>
      (await jwt.principalOf(signer.sign({ claims: { exp, ...claims } })))?.name;
  };
  const pod = { iss: "https://cluster.example", aud: "agents", sub: "system:serviceaccount:agents:mailer" };
  const job = {
    ...{ iss: "https://token.actions.example", aud: "nexusd", sub: "repo:acme/app:ref:refs/heads/main" },
    ...{ repository: "acme/app", repository_owner: "acme", environment: ["production"] },
  };

  it("each vouch for their own callers, who have the name of the issuer before theirs", async () => {
    const nameOf = await opened();
    expect(await nameOf(cluster, pod)).toBe("jwt:system:serviceaccount:agents:mailer");
    expect(await nameOf(github, job)).toBe("jwt:github:acme/app");
  });

  it.each([
    ["of one issuer with the key of another", github, pod],
    ["of one issuer for the audience of another", cluster, { ...pod, aud: "nexusd" }],
    ["of an issuer that nobody named", github, { ...job, iss: "https://other.example" }],
    ["of no issuer", github, { ...job, iss: undefined }],
    ["with another claim than is wanted", github, { ...job, repository_owner: "mallory" }],
    ["without a claim that is wanted", github, { ...job, environment: undefined }],
    ["without the claim that names the caller", github, { ...job, repository: undefined }],
    ["whose subject begins as those of another issuer", cluster, { ...pod, sub: "github:acme/app" }],
    ["whose subject with the name is too long", github, { ...job, repository: "a".repeat(249) }],
  ])("take no token %s", async (_, signer, claims) => {
    const nameOf = await opened();
    expect(await nameOf(signer, claims)).toBeUndefined();
  });

  it("take no text that is no token", async () => {
    const jwt = openJwt(
      await issuersOf({ lone: undefined, file: await twoIssuers(), allowLoopback: false }),
      {
        clock: new ManualClock(startMs),
        log: silentLog,
      },
    );
    expect(await jwt.principalOf("eyJh.bm8.x")).toBeUndefined();
  });
});

it("at which people sign in vouch for no caller", async () => {
  const text = `issuers:
  - { name: people, issuer: "https://one.example", audience: a, sign_in: {} }
  - { name: pods, issuer: "https://two.example", audience: a, jwks_file: ${keysOf(github)} }
`;
  const file = fileWith("issuers.yaml", text);
  const issuers = await issuersOf({ lone: undefined, file, allowLoopback: false });
  const jwt = openJwt(issuers, { clock: new ManualClock(startMs), log: silentLog });
  const nameOf = async (iss: string) =>
    (await jwt.principalOf(github.sign({ claims: { iss, aud: "a", sub: "ada", exp } })))?.name;
  expect(await nameOf("https://two.example")).toBe("jwt:pods:ada");
  expect(await nameOf("https://one.example")).toBeUndefined();
});

async function twoIssuers(): Promise<string> {
  const entry = (name: string): string =>
    `  - { name: ${name}, issuer: "https://${name}.example", audience: a, jwks_file: ${keysOf(github)} }\n`;
  return fileWith("issuers.yaml", `issuers:\n${entry("one")}${entry("two")}`);
}

describe("a file with issuers", () => {
  const one = "{ name: one, issuer: 'https://one.example', audience: a }";
  const signingIn = (signIn: string) => `issuers:\n  - ${one.replace(" }", `, sign_in: ${signIn} }`)}`;
  const entryStart = "issuers:\n  - ".length;
  it.each([
    ["", /issuers: must be a list of 1 to 20/],
    ["issuers: []", /issuers: must be a list of 1 to 20/],
    ["issuer: []", /did you mean issuers/],
    [`issuers:\n  - ${one}\n  - ${one}`, /FILE:3:\d+: name: one is used twice/],
    [
      `issuers:\n  - ${one}\n  - ${one.replace("one", "two")}`,
      /FILE:3:\d+: audience: one has the same issuer and audience/,
    ],
    ["issuers: [{ name: one, issuer: 'https://one.example' }]", /FILE:1:11: audience: is required/],
    [`issuers: [${one.replace("one", "system")}]`, /name: must begin with a letter.*system is reserved/],
    [`issuers: [${one.replace("one", "One")}]`, /name: must begin with a letter/],
    [`issuers: [${one.replace("audience", "audiance")}]`, /did you mean audience/],
    [`issuers: [${one.replace("https", "http")}]`, /issuer: must be an https URL/],
    [
      `issuers: [${one.replace("one.example", "u:p4ss@one.example")}]`,
      /must not hold a user name or password/,
    ],
    [`issuers: [${one.replace(" }", ", jwks_url: 'http://k' }")}]`, /jwks_url: must be an https URL/],
    [`issuers: [${one.replace(" }", ", jwks_url: 'https://k', jwks_file: /k }")}]`, /jwks_file is set, too/],
    [`issuers: [${one.replace(" }", ", claims: [x] }")}]`, /claims: must be at most 20 names of claims/],
    [`issuers: [${one.replace(" }", ", claims: { x: 1 } }")}]`, /x: must be a text of 1 to 2048 characters/],
    [signingIn("{ titel: x }"), /did you mean title/],
    [signingIn("true"), /sign_in: must be keys and values/],
    [signingIn("{ scopes: 'a b' }"), /scopes: must be a list of at most 20 scopes/],
    [signingIn("{ scopes: ['a b'] }"), /scopes: must be a list of at most 20 scopes/],
    [signingIn(`{ title: ${"a".repeat(65)} }`), /title: must have at most 64 characters/],
    [signingIn('{ title: "a\\u202e" }'), /title: .* no control characters/],
    [signingIn("{ session: 8 }"), /session: must be a text/],
    [signingIn("{ session: 4m }"), /session: must be a duration of 5m to 24h/],
    [signingIn("{ session: 25h }"), /session: must be a duration of 5m to 24h/],
    [signingIn("{}, jwks_file: /k"), /jwks_file: not with sign_in/],
    [signingIn("{}, ca_file: /k"), /ca_file: not with sign_in/],
    [signingIn("{}").replace("https", "http"), /issuer: must be an https URL/],
    [
      `${signingIn("{}, claims: { g: a }")}\n  - ${one.replace("one", "two")}`,
      /audience: one has the same issuer and audience/,
    ],
    [
      `${signingIn("{}")}\n  - ${signingIn("{}").slice(entryStart).replace("one", "two")}`,
      /one comes first and wants no claims: nobody is left for two/,
    ],
    [
      `${signingIn("{}, claims: { g: a }")}\n  - ${signingIn("{ title: x }").slice(entryStart).replace("one", "two")}`,
      /sign_in: must be that of one, which has the same issuer and audience/,
    ],
    ["issuers: [1]", /an issuer must be keys and values/],
    ["issuers: [", /FILE:1:/],
  ])("is refused with the place of each error: %j", async (text, message) => {
    const said = await refusal(text);
    expect(said).toMatch(message);
    expect(said).not.toContain("p4ss");
  });

  it("names no issuer of the settings once more", async () => {
    const lone = { issuer: "https://one.example", audience: "a" };
    expect(await refusal(`issuers: [${one}]`, lone)).toBe(
      "FILE: one has the issuer and the audience of NEXUS_JWT_ISSUER",
    );
    expect(await refusal(`issuers: [${one}]`, { ...lone, audience: "b" })).toBe("started");
  });

  it("must be there", async () => {
    const file = join(temporaryFolder(), "none.yaml");
    await expect(issuersOf({ lone: undefined, file, allowLoopback: false })).rejects.toThrow(
      `${file} cannot be read (ENOENT)`,
    );
  });
});
