import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Authority } from "../../../fakes/certificates.js";
import { JwtSigner } from "../../../fakes/jwt_issuer.js";
import { perSuite } from "../../../lifetimes.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { ProxyClient } from "../proxy/proxy_client.js";
import { key, ListenerWorld } from "./listener_world.js";

const machines = new Authority();
const agent = machines.issue({ uris: ["spiffe://nexus.test/agent"] });
const folder = temporaryFolder();
const issuer = "https://cluster.example";
const signer = new JwtSigner();

function fileOf(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

/** Made by openssl as docs/kubernetes.md says, for a hundred years. */
const operatorsCa = `-----BEGIN CERTIFICATE-----
MIIBmTCCAUCgAwIBAgIUQEAaA+EEWI/w4mNH87aKZDVFJHAwCgYIKoZIzj0EAwIw
GDEWMBQGA1UEAwwNZWdyZXNzLm5leHVzZDAgFw0yMDAxMDEwMDAwMDBaGA8yMTE5
MTIwODAwMDAwMFowGDEWMBQGA1UEAwwNZWdyZXNzLm5leHVzZDBZMBMGByqGSM49
AgEGCCqGSM49AwEHA0IABM+c0lrU5NXXtFb/xL0fAfS40yw9J5NWvmUXwzH9IeBg
LS7OG/41DdoOg2jnBMhfWZyBjdsDFUQadQBrX80GUrWjZjBkMB0GA1UdDgQWBBRT
M41nzd2qq3nEApIRmZ1iUoLNHDAfBgNVHSMEGDAWgBRTM41nzd2qq3nEApIRmZ1i
UoLNHDASBgNVHRMBAf8ECDAGAQH/AgEAMA4GA1UdDwEB/wQEAwICBDAKBggqhkjO
PQQDAgNHADBEAiBPyMywZm8UhDTMSDuO3b+D1Qicz5xJXfRaO5e5GR4MjwIgUyON
qyMKq7MGLBSUWWwL00D+VLxnRNZ3fUxX7vPlwow=
-----END CERTIFICATE-----
`;
const operatorsKey = `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg0qx0XRcn4zaA6pNq
ncUqtw/bhFedOdyn0a6M8HjczfuhRANCAATPnNJa1OTV17RW/8S9HwH0uNMsPSeT
Vr5lF8Mx/SHgYC0uzhv+NQ3aDoNo5wTIX1mcgY3bAxVEGnUAa1/NBlK1
-----END PRIVATE KEY-----
`;

const world = perSuite(() => {
  const server = machines.issueServer();
  const principals = `["cert:spiffe://nexus.test/agent", "jwt:system:serviceaccount:agents:mailer"]`;
  const policy = `bindings:\n  - { principals: ${principals}, role: agent, user_ids: [ada] }\n`;
  return ListenerWorld.start({
    NEXUS_EGRESS_CA_CERT_FILE: fileOf("ca.crt", operatorsCa),
    NEXUS_EGRESS_CA_KEY_FILE: fileOf("ca.key", operatorsKey),
    NEXUS_TLS_CERT_FILE: fileOf("server.crt", server.cert),
    NEXUS_TLS_KEY_FILE: fileOf("server.key", server.key),
    NEXUS_TLS_CLIENT_CA_FILE: fileOf("clients.crt", machines.pem),
    NEXUS_TLS_LISTENERS: "egress",
    NEXUS_JWT_ISSUER: issuer,
    NEXUS_JWT_AUDIENCE: "nexusd",
    NEXUS_JWT_JWKS_FILE: fileOf("jwks.json", JSON.stringify({ keys: [signer.jwk] })),
    NEXUS_POLICY_FILE: fileOf("policy.yaml", policy),
  });
});

const program = (shown: { cert?: string; key?: string }, password = "") =>
  new ProxyClient(new URL(`https://:${password}@${world.address}`), operatorsCa, world.api.port, {
    ca: machines.pem,
    ...shown,
  });

it("speaks TLS, knows callers by their certificate, and takes the authority that the operator made", async () => {
  for (const version of [1, 2] as const)
    expect(await program(agent).ask("/v1/user", { version })).toMatchObject({ status: 200 });
  expect(world.api.received.at(-1)?.headers).toMatchObject({ "x-api-key": key });
});

it("serves a service account by its JWT, and nobody by one that is forged, over, or for others", async () => {
  const exp = world.daemon.clock.nowMs() / 1_000 + 600;
  const claims = { iss: issuer, aud: ["nexusd"], sub: "system:serviceaccount:agents:mailer", exp };
  expect(await program({}, signer.sign({ claims })).ask("/v1/user")).toMatchObject({ status: 200 });
  const tokens = [
    new JwtSigner().sign({ claims }),
    signer.sign({ claims: { ...claims, aud: "another" } }),
    signer.sign({ claims: { ...claims, exp: exp - 1_200 } }),
  ];
  for (const token of tokens) await expect(program({}, token).ask("/v1/user")).rejects.toThrow(/^407/);
});

it("serves nobody over TLS without a certificate and a key", async () => {
  await expect(program({}).ask("/v1/user")).rejects.toThrow(/^407/);
});
