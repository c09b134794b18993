import { spawn } from "node:child_process";
import { createPublicKey, X509Certificate } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { GrantType, TokenEndpointAuthMethod } from "../../src/gen/nexus/v1/provider_pb.js";
import { Authority } from "../fakes/certificates.js";
import { MtlsProvider, selfSignedMembers } from "../fakes/mtls_provider.js";
import { needs } from "../needs.js";
import { temporaryFolder } from "../temporary_folder.js";
import { DaemonProcesses } from "./daemon_process.js";
import { failureOf } from "./errors.js";
import { Place } from "./harness.js";
import { registered, requestOf } from "./requests.js";

const { TLS_CLIENT_AUTH, SELF_SIGNED_TLS_CLIENT_AUTH } = TokenEndpointAuthMethod;
const authority = new Authority();
const known = authority.issue({ dns: ["agent.example"] });
const ended = authority.issue({ dns: ["agent.example"], untilMs: -60_000 });
const ownSigned = new Authority("The client itself").issue();
const stranger = new Authority("Nobody").issue({ dns: ["agent.example"] });

const machine = { redirect_uris: [], response_types: [], grant_types: ["client_credentials"] };
let provider: MtlsProvider;
let place: Place;
let daemons: DaemonProcesses;
beforeAll(async () => {
  place = await Place.make();
  provider = await MtlsProvider.start(authority, [
    {
      ...{ ...machine, client_id: "by-authority", token_endpoint_auth_method: "tls_client_auth" },
      tls_client_auth_san_dns: "agent.example",
    },
    {
      ...{ ...machine, client_id: "self-signed" },
      ...selfSignedMembers(ownSigned, createPublicKey(ownSigned.cert).export({ format: "jwk" })),
    },
    {
      ...{ client_id: "person", token_endpoint_auth_method: "tls_client_auth" },
      tls_client_auth_san_dns: "agent.example",
      redirect_uris: [`${place.config.redirectUri}/person`],
      application_type: "native",
      grant_types: ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
    },
  ]);
  const ca = join(temporaryFolder(), "ca.pem");
  writeFileSync(ca, authority.pem);
  daemons = new DaemonProcesses({ ...place.environment, NODE_EXTRA_CA_CERTS: ca });
  await daemons.started();
});
afterAll(() => Promise.all([daemons.close(), provider.close()]));

function register(name: string, more: object): Promise<string> {
  return registered(place.clients(), {
    name,
    clientId: "by-authority",
    tokenEndpointAuthMethod: TLS_CLIENT_AUTH,
    tlsClientCertificate: known.cert,
    clientSecret: known.key,
    grantType: GrantType.CLIENT_CREDENTIALS,
    issuer: provider.issuer,
    enableDiscovery: true,
    scopes: ["read"],
    ...more,
  });
}

const fingerprint = ({ cert }: { readonly cert: string }) => new X509Certificate(cert).fingerprint256;
const last = (path: string) => provider.requests.findLast((request) => request.path === path);

it.each([
  ["tls_client_auth", { clientId: "by-authority" }, known],
  [
    "self_signed_tls_client_auth",
    {
      ...{ clientId: "self-signed", tokenEndpointAuthMethod: SELF_SIGNED_TLS_CLIENT_AUTH },
      ...{ tlsClientCertificate: ownSigned.cert, clientSecret: ownSigned.key },
    },
    ownSigned,
  ],
] as const)(
  "%s: the certified server knows the client by its certificate, at the alias of its token endpoint",
  async (method, more, issued) => {
    const id = await register(method.replaceAll("_", "-"), more);
    const { connection } = await place.clients().connections.requestConnection(requestOf(id));
    expect(connection).toMatchObject({ status: ConnectionStatus.ACTIVE, grantedScopes: ["read"] });
    expect(last("/token")).toMatchObject({ status: 200, fingerprint: fingerprint(issued) });
  },
);

it("shows the certificate where a request is pushed, and where a device code is asked for", async () => {
  const person = { ...{ clientId: "person", grantType: GrantType.AUTHORIZATION_CODE }, scopes: ["openid"] };
  const { connections } = place.clients();
  const pushing = await register("person", { ...person, oauth2Options: { pushAuthorizationRequests: true } });
  const { authUrl } = await connections.requestConnection(requestOf(pushing));
  const { headers } = await fetch(authUrl, { redirect: "manual" });
  expect(headers.get("location")).toContain("request_uri=urn%3A");
  expect(last("/request")).toMatchObject({ status: 201, fingerprint: fingerprint(known) });
  const { userCode } = await connections.requestConnection({ ...requestOf(pushing), device: true });
  expect(userCode).not.toBe("");
  expect(last("/device/auth")).toMatchObject({ status: 200, fingerprint: fingerprint(known) });
});

it("shows the certificate where a token is revoked", async () => {
  const { connections } = place.clients();
  const { connectionId } = await connections.requestConnection(requestOf(await register("revoked", {})));
  await connections.revokeConnection({ connectionId });
  expect(last("/token/revocation")).toMatchObject({ status: 200, fingerprint: fingerprint(known) });
});

it("a certificate of an authority that the server does not know is a fault of the profile", async () => {
  const id = await register("stranger", { tlsClientCertificate: stranger.cert, clientSecret: stranger.key });
  const refused = await failureOf(place.clients().connections.requestConnection(requestOf(id)));
  expect(refused).toMatchObject({ code: "FailedPrecondition", reason: "PROVIDER_MISCONFIGURED" });
  expect(refused.message).toContain("invalid_client");
});

it("a certificate that has ended is told before anything is sent", async () => {
  const id = await register("ended", { tlsClientCertificate: ended.cert, clientSecret: ended.key });
  const before = provider.requests.length;
  const refused = await failureOf(place.clients().connections.requestConnection(requestOf(id)));
  expect(refused).toMatchObject({ code: "FailedPrecondition", reason: "PROVIDER_MISCONFIGURED" });
  expect(refused.message).toMatch(
    /client certificate of the profile ended at 20\d\d-.*tls_client_certificate/,
  );
  expect(provider.requests.slice(before).filter(({ path }) => path === "/token")).toEqual([]);
});

it("the key is answered to nobody, and the certificate to whoever reads the profile", async () => {
  const id = await register("answered", {});
  const { provider: profile } = await place
    .clients()
    .providers.getProvider({ key: { case: "id", value: id } });
  expect(profile).toMatchObject({
    tlsClientCertificate: known.cert,
    clientSecret: "",
    clientSecretSet: true,
  });
  expect(daemons.all[0]?.output).not.toContain("PRIVATE KEY");
});

it("an alert over the certificate is a fault of the profile, and says what to check", async (context) => {
  needs(context, "openssl");
  const folder = temporaryFolder();
  const { cert, key } = authority.issueServer();
  const files = Object.entries({ cert, key, ca: authority.pem }).map(([name, pem]) => {
    writeFileSync(join(folder, name), pem);
    return join(folder, name);
  });
  const [certFile = "", keyFile = "", caFile = ""] = files;
  const server = spawn("openssl", [
    ...["s_server", "-accept", "127.0.0.1:0", "-cert", certFile, "-key", keyFile],
    ...["-CAfile", caFile, "-Verify", "1", "-verify_return_error", "-www"],
  ]);
  try {
    const port = await new Promise<string>((resolve) => {
      server.stdout.setEncoding("utf8").on("data", (text: string) => {
        const accepted = /ACCEPT 127\.0\.0\.1:(\d+)/.exec(text)?.[1];
        if (accepted) resolve(accepted);
      });
    });
    const endpoints = { issuer: "", enableDiscovery: false, tokenUrl: `https://127.0.0.1:${port}/token` };
    const shown = { tlsClientCertificate: stranger.cert, clientSecret: stranger.key };
    const id = await register("alerted", { ...endpoints, ...shown });
    const refused = await failureOf(place.clients().connections.requestConnection(requestOf(id)));
    expect(refused).toMatchObject({ code: "FailedPrecondition", reason: "PROVIDER_MISCONFIGURED" });
    expect(refused.message).toMatch(/does not accept the client certificate of the profile.*ALERT/);
  } finally {
    server.kill();
  }
});
