import { generateKeyPairSync } from "node:crypto";
import { decodeJwt, decodeProtectedHeader } from "jose";
import { describe, expect, it } from "vitest";
import { CredentialVault } from "../../../src/domain/connections/credential_vault.js";
import { TokenEndpointClient } from "../../../src/domain/token_endpoint/token_endpoint_client.js";
import { plainOAuth2 } from "../../../src/model/providers/profile_fields.js";
import type { ProviderProfile, ProviderSettings } from "../../../src/model/providers/provider_profile.js";
import { processAuthorizationResponse } from "../../../src/oauth/authorization_response.js";
import { manualAuthorizationServer } from "../../../src/oauth/authorization_server.js";
import { clientCredentials } from "../../../src/oauth/grants/minted_token.js";
import type { OutboundFetch, OutboundRequest } from "../../../src/outbound/outbound_fetch.js";
import { SystemClock } from "../../../src/runtime/clock.js";
import { Secret } from "../../../src/runtime/secret.js";
import { Vault } from "../../../src/vault/vault.js";
import { Authority } from "../../fakes/certificates.js";
import { coreSources } from "../../fakes/core_sources.js";
import { aProfile } from "../../samples.js";

const issued = new Authority().issue();
const pem = (): string =>
  generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({
    type: "pkcs8",
    format: "pem",
  }) as string;
const fileKey = JSON.stringify({
  ...generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" }),
  kid: "of the file",
});
const fileJwt = "e30.e30.c2ln";
const secret = "a secret of the client, long enough";

/** What the methods leave in a request; everything else must be missing. */
interface Proof {
  readonly basic?: true;
  readonly clientSecret?: string;
  readonly assertionType?: string;
  readonly certificate?: true;
}
const jwtBearer = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const jwtSpiffe = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";
type Method = readonly [
  name: string,
  settings: Partial<ProviderSettings>,
  secret: string | undefined,
  proof: Proof,
];
const methods: readonly Method[] = [
  ["none", { tokenEndpointAuthMethod: "none" }, undefined, {}],
  [
    "a secret in the body",
    { tokenEndpointAuthMethod: "client_secret_post" },
    secret,
    { clientSecret: secret },
  ],
  ["a secret by Basic", { tokenEndpointAuthMethod: "client_secret_basic" }, secret, { basic: true }],
  ["an HMAC", { tokenEndpointAuthMethod: "client_secret_jwt" }, secret, { assertionType: jwtBearer }],
  [
    "a key in the secret",
    { tokenEndpointAuthMethod: "private_key_jwt" },
    pem(),
    { assertionType: jwtBearer },
  ],
  [
    "a key of the daemon",
    { tokenEndpointAuthMethod: "private_key_jwt" },
    undefined,
    { assertionType: jwtBearer },
  ],
  [
    "a key of a file",
    { tokenEndpointAuthMethod: "private_key_jwt", clientKeySource: "robot" },
    undefined,
    { assertionType: jwtBearer },
  ],
  [
    "a certificate",
    { tokenEndpointAuthMethod: "tls_client_auth", tlsClientCertificate: issued.cert },
    issued.key,
    { certificate: true },
  ],
  [
    "a certificate of its own",
    { tokenEndpointAuthMethod: "self_signed_tls_client_auth", tlsClientCertificate: issued.cert },
    issued.key,
    { certificate: true },
  ],
  [
    "a file",
    { tokenEndpointAuthMethod: "client_assertion_file", clientAssertionSource: "pod" },
    undefined,
    { assertionType: jwtBearer },
  ],
  [
    "a JWT-SVID",
    {
      ...{ tokenEndpointAuthMethod: "client_assertion_file", clientAssertionSource: "pod" },
      oauth2: { ...plainOAuth2, clientAssertionType: "jwt_spiffe" },
    },
    undefined,
    { assertionType: jwtSpiffe },
  ],
];

const server = {
  ...manualAuthorizationServer({
    issuer: "https://op.example",
    authUrl: "https://op.example/auth",
    tokenUrl: "https://op.example/token",
    jwksUrl: "",
  }),
  announcesPkce: true,
};
/** The library knows the parameters again that it has judged. */
function codeParams(): URLSearchParams {
  const query = new URLSearchParams({ code: "c", state: "s", iss: "https://op.example" });
  const response = processAuthorizationResponse(server, "nexus", query, "s");
  if (response.kind !== "code") throw new Error(response.kind);
  return response.params;
}

const held = {
  refreshToken: new Secret("r"),
  subject: undefined,
  userId: "u",
  label: "",
  scopes: [],
  grantedScopes: [],
  boundTo: undefined,
  dpopKey: undefined,
};
type Ask = (client: TokenEndpointClient, profile: ProviderProfile) => Promise<unknown>;
const endpoints: readonly (readonly [url: string, what: string, Ask])[] = [
  [
    "https://op.example/token",
    "a code",
    (client, profile) =>
      client.exchangeCode({
        ...{ server, profile, redirectUri: "https://nexus.example/cb", codeVerifier: "v".repeat(43) },
        ...{ params: codeParams(), nonce: undefined, dpopKey: undefined },
      }),
  ],
  [
    "https://op.example/token",
    "a refresh",
    (client, profile) => client.refresh({ server, profile, ...held }),
  ],
  [
    "https://op.example/token",
    "client credentials",
    (client, profile) =>
      client.refresh({ server, profile: { ...profile, grantType: "client_credentials" }, ...held }),
  ],
  [
    "https://op.example/token",
    "a device code",
    (client, profile) =>
      client.pollDevice({
        ...{ server, profile, deviceCode: "d", codeVerifier: "v".repeat(43), dpopKey: undefined },
        ...{ expectsIdToken: false, signal: new AbortController().signal },
      }),
  ],
  [
    "https://op.example/token",
    "a token beside the connection's",
    (client, profile) =>
      client.mint({ server, profile }, (common) => clientCredentials({ ...common, scopes: [] })),
  ],
  [
    "https://op.example/device",
    "a device",
    (client, profile) =>
      client.authorizeDevice({
        ...{ server, profile, endpoint: "https://op.example/device" },
        ...{ scopes: ["read"], codeVerifier: "v".repeat(43) },
      }),
  ],
  [
    "https://op.example/par",
    "a pushed request",
    (client, profile) =>
      client.pushAuthorization({
        ...{ server, profile, endpoint: "https://op.example/par" },
        location: "https://op.example/auth?response_type=code&state=s",
      }),
  ],
  [
    "https://op.example/revoke",
    "a revocation",
    (client, profile) =>
      client.revoke({
        ...{ server, profile, endpoint: "https://op.example/revoke", token: new Secret("t") },
        ...{ tokenTypeHint: "refresh_token", signal: new AbortController().signal, boundTo: undefined },
      }),
  ],
];

/** What a provider would see that answers 503 to everything. */
function aClient() {
  const sent: (OutboundRequest & { readonly url: string })[] = [];
  const outbound: OutboundFetch = (url, request) => {
    sent.push({ ...request, url });
    return Promise.resolve({ status: 503, headers: new Headers(), text: () => Promise.resolve("") });
  };
  const vault = new CredentialVault({ vault: new Vault(Buffer.alloc(32, 1)), databaseId: "d" });
  const client = new TokenEndpointClient({
    sources: coreSources,
    ...{ vault, outbound, clock: new SystemClock() },
    clientKeys: { signingKey: async () => ({ kid: "own", privateKey: new Secret(pem()) }) },
    assertionFiles: { read: async () => new Secret(fileJwt) },
    keyFiles: { read: async () => new Secret(fileKey) },
  });
  return { client, vault, sent };
}

describe.each(methods)("a client that proves itself by %s", (_, settings, clientSecret, proof) => {
  it.each(endpoints)("does so at %s, for %s, and by nothing else", async (url, _what, ask) => {
    const { client, vault, sent } = aClient();
    const blank = aProfile({ ...settings, clientId: "nexus", tokenUrl: "https://op.example/token" });
    const profile = {
      ...blank,
      clientSecret: clientSecret && vault.sealClientSecret(blank, new Secret(clientSecret)),
    };
    for (let i = 0; i < 2; i++) await ask(client, profile as ProviderProfile).catch(() => undefined);
    expect(sent.map((request) => request.url)).toEqual([url, url]);
    const seen = sent.map(({ headers, body, clientCertificate }) => {
      const form = new URLSearchParams(String(body));
      const authorization = new Headers(headers).get("authorization");
      return {
        clientId: authorization ? "nexus" : form.get("client_id"),
        basic: authorization?.startsWith("Basic "),
        clientSecret: form.get("client_secret") ?? undefined,
        assertionType: form.get("client_assertion_type") ?? undefined,
        certificate: clientCertificate === undefined ? undefined : clientCertificate.chain === issued.cert,
      };
    });
    const wanted = { clientId: "nexus", ...proof };
    expect(seen).toEqual([wanted, wanted]);
    const assertions = sent.map(({ body }) => new URLSearchParams(String(body)).get("client_assertion"));
    if (settings.tokenEndpointAuthMethod === "client_assertion_file")
      expect(assertions).toEqual([fileJwt, fileJwt]);
    else if (proof.assertionType === undefined) expect(assertions).toEqual([null, null]);
    else {
      const claims = assertions.map((jwt) => decodeJwt(jwt ?? ""));
      expect(claims).toMatchObject(Array(2).fill({ iss: "nexus", sub: "nexus", aud: "https://op.example" }));
      expect(new Set(claims.map(({ jti }) => jti)).size).toBe(2);
      const kids = assertions.map((jwt) => decodeProtectedHeader(jwt ?? "").kid);
      const { clientKeySource = "" } = settings;
      if (clientKeySource !== "") expect(kids).toEqual(["of the file", "of the file"]);
      else expect(kids).not.toContain("of the file");
    }
  });
});
