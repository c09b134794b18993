import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { run } from "../../../src/cli/program.js";
import {
  type CreateProviderRequest,
  TokenEndpointAuthMethod,
} from "../../../src/gen/nexus/v1/provider_pb.js";
import { Authority } from "../../fakes/certificates.js";
import { perTest } from "../../lifetimes.js";
import { temporaryFolder } from "../../temporary_folder.js";
import { FakeDaemon } from "../fake_daemon.js";
import { fakeShell } from "../fake_shell.js";

const daemon = perTest(() => new FakeDaemon());
beforeEach(() => daemon.start());

async function create(...args: string[]) {
  const shell = fakeShell({ env: daemon.env });
  const common = ["--issuer", "https://p.example", "--client-id", "id"];
  const code = await run(["provider", "add", "op", ...common, ...args], shell);
  return { code, shell, provider: daemon.got<CreateProviderRequest>("CreateProvider")[0]?.provider };
}

describe("provider add for a client", () => {
  it("that signs with a key of the daemon asks for no secret, and says where the keys are", async () => {
    const { code, shell, provider } = await create("--auth-method", "private_key_jwt");
    expect(code).toBe(0);
    expect(provider).toMatchObject({
      clientSecret: "",
      tokenEndpointAuthMethod: TokenEndpointAuthMethod.PRIVATE_KEY_JWT,
    });
    expect(shell.out()).toMatch(/keys .*enter the jwks_uri of nexusd client-keys/);
  });

  it("that has a key of its own sends it, and says nothing of others", async () => {
    const file = join(temporaryFolder(), "key.pem");
    writeFileSync(file, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    const { shell, provider } = await create(
      "--auth-method",
      "private_key_jwt",
      "--client-secret-file",
      file,
    );
    expect(provider?.clientSecret).toContain("AAAA");
    expect(shell.out()).not.toContain("client-keys");
  });

  it("that signs with a key of a file asks for no secret, and says nothing of the daemon's keys", async () => {
    const named = ["--auth-method", "private_key_jwt", "--client-key-source", "robot"];
    const { code, shell, provider } = await create(...named);
    expect(code).toBe(0);
    expect(provider).toMatchObject({ clientSecret: "", clientKeySource: "robot" });
    expect(shell.out()).not.toContain("client-keys");
  });

  it("that proves itself in TLS sends the certificate of a file", async () => {
    const { cert, key } = new Authority().issue();
    const [certFile, keyFile] = ["cert", "key"].map((name) => join(temporaryFolder(), name)) as [
      string,
      string,
    ];
    writeFileSync(certFile, cert);
    writeFileSync(keyFile, key);
    const tls = ["--tls-client-certificate", certFile, "--client-secret-file", keyFile];
    const { code, provider } = await create("--auth-method", "tls_client_auth", ...tls);
    expect(code).toBe(0);
    expect(provider).toMatchObject({ tlsClientCertificate: cert, clientSecret: key.trimEnd() });
    const missing = await create(
      "--auth-method",
      "tls_client_auth",
      "--tls-client-certificate",
      "/nonexistent",
    );
    expect(missing.code).toBe(2);
    expect(missing.shell.err()).toContain("--tls-client-certificate");
  });

  it("whose JWT is in a file names it, and asks for no secret", async () => {
    const { code, provider } = await create(
      ...["--auth-method", "client_assertion_file", "--client-assertion-source", "kubernetes"],
    );
    expect(code).toBe(0);
    expect(provider).toMatchObject({ clientAssertionSource: "kubernetes", clientSecret: "" });
  });
});
