import { execFileSync } from "node:child_process";
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

/** As docs/kubernetes.md says. */
function operatorsAuthority(): NodeJS.ProcessEnv {
  const [certFile, keyFile] = [join(folder, "ca.crt"), join(folder, "ca.key")];
  const usage = ["basicConstraints=critical,CA:TRUE,pathlen:0", "keyUsage=critical,keyCertSign"];
  execFileSync(
    "openssl",
    [
      ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30".split(" "),
      ...["-subj", "/CN=egress.nexusd", ...usage.flatMap((one) => ["-addext", one])],
      ...["-keyout", keyFile, "-out", certFile],
    ],
    { stdio: "pipe" },
  );
  return { NEXUS_EGRESS_CA_CERT_FILE: certFile, NEXUS_EGRESS_CA_KEY_FILE: keyFile };
}

const world = perSuite(() => {
  const server = machines.issueServer();
  const principals = `["cert:spiffe://nexus.test/agent", "jwt:system:serviceaccount:agents:mailer"]`;
  const policy = `bindings:\n  - { principals: ${principals}, role: agent, user_ids: [ada] }\n`;
  return ListenerWorld.start({
    ...operatorsAuthority(),
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

const program = (shown: { cert?: string; key?: string }, password = "") => {
  const ca = String(world.daemon.place.environment["NEXUS_EGRESS_CA_CERT_FILE"]);
  const toProxy = { ca: machines.pem, ...shown };
  const authority = execFileSync("cat", [ca], { encoding: "utf8" });
  return new ProxyClient(
    new URL(`https://:${password}@${world.address}`),
    authority,
    world.api.port,
    toProxy,
  );
};

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
