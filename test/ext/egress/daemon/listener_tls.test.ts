import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Authority } from "../../../fakes/certificates.js";
import { perSuite } from "../../../lifetimes.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { ProxyClient } from "../proxy/proxy_client.js";
import { key, ListenerWorld } from "./listener_world.js";

const machines = new Authority();
const agent = machines.issue({ uris: ["spiffe://nexus.test/agent"] });
const folder = temporaryFolder();

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
  const policy = `bindings:\n  - { principals: ["cert:spiffe://nexus.test/agent"], role: agent, user_ids: [ada] }\n`;
  return ListenerWorld.start({
    ...operatorsAuthority(),
    NEXUS_TLS_CERT_FILE: fileOf("server.crt", server.cert),
    NEXUS_TLS_KEY_FILE: fileOf("server.key", server.key),
    NEXUS_TLS_CLIENT_CA_FILE: fileOf("clients.crt", machines.pem),
    NEXUS_TLS_LISTENERS: "egress",
    NEXUS_POLICY_FILE: fileOf("policy.yaml", policy),
  });
});

const program = (shown: { cert?: string; key?: string }) => {
  const ca = String(world.daemon.place.environment["NEXUS_EGRESS_CA_CERT_FILE"]);
  const toProxy = { ca: machines.pem, ...shown };
  const authority = execFileSync("cat", [ca], { encoding: "utf8" });
  return new ProxyClient(new URL(`https://${world.address}`), authority, world.api.port, toProxy);
};

it("speaks TLS, knows callers by their certificate, and takes the authority that the operator made", async () => {
  for (const version of [1, 2] as const)
    expect(await program(agent).ask("/v1/user", { version })).toMatchObject({ status: 200 });
  expect(world.api.received.at(-1)?.headers).toMatchObject({ "x-api-key": key });
});

it("serves nobody over TLS without a certificate and a key", async () => {
  await expect(program({}).ask("/v1/user")).rejects.toThrow(/^407/);
});
