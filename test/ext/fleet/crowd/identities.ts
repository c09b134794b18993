import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Authority } from "../../../fakes/certificates.js";
import { JwtSigner } from "../../../fakes/jwt_issuer.js";

const issuer = "https://issuer.test";
const audience = "nexusd";
const lifeSeconds = 4 * 3_600;

/** A service account for each spoke, as Kubernetes has them, each of a team; and the policy by which hubs know them. */
export class Identities {
  readonly authority = new Authority();
  /** A token for each spoke. */
  readonly tokens: readonly string[];
  /** Of each hub. */
  readonly settings: NodeJS.ProcessEnv;
  readonly #folder = mkdtempSync(join(tmpdir(), "nexus-crowd-"));

  constructor(count: number, teams: number) {
    const signer = new JwtSigner();
    const server = this.authority.issueServer();
    const subjects = Array.from(
      { length: count },
      (_, index) => `system:serviceaccount:agents:spoke-${index}`,
    );
    const exp = Math.floor(Date.now() / 1_000) + lifeSeconds;
    this.tokens = subjects.map((sub) => signer.sign({ claims: { iss: issuer, aud: audience, sub, exp } }));
    const bindings = Array.from({ length: teams }, (_, team) => ({
      principals: subjects.filter((_, index) => index % teams === team).map((sub) => `jwt:${sub}`),
      role: "agent",
      user_ids: ["everyone", `team-${team}`],
    }));
    this.settings = {
      NEXUS_TLS_CERT_FILE: this.#file("hub.pem", server.cert),
      NEXUS_TLS_KEY_FILE: this.#file("hub.key", server.key),
      NEXUS_TLS_LISTENERS: "http",
      NEXUS_JWT_ISSUER: issuer,
      NEXUS_JWT_AUDIENCE: audience,
      NEXUS_JWT_JWKS_FILE: this.#file("jwks.json", JSON.stringify({ keys: [signer.jwk] })),
      NEXUS_POLICY_FILE: this.#file("policy.json", JSON.stringify({ bindings })),
    };
  }

  /** Settings of a daemon that is the spoke, without its listeners. @param ports of its hubs */
  ofSpoke(index: number, ports: readonly number[]): NodeJS.ProcessEnv & { readonly NEXUS_DATA_DIR: string } {
    const folder = join(this.#folder, `spoke-${index}`);
    mkdirSync(folder, { mode: 0o700 });
    return {
      NEXUS_UPSTREAM: ports.map((port) => `https://127.0.0.1:${port}`).join(","),
      NEXUS_UPSTREAM_CA_FILE: this.#file("ca.pem", this.authority.pem),
      NEXUS_UPSTREAM_TOKEN_FILE: this.#file(`spoke-${index}.token`, this.tokens[index] ?? ""),
      NEXUS_DATA_DIR: folder,
    };
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #file(name: string, text: string): string {
    const path = join(this.#folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }
}
