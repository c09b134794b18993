import { existsSync, readFileSync } from "node:fs";
import { rootCertificates } from "node:tls";

/** Where systems keep the roots that they trust. */
const systemRoots = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/cert.pem",
];

/** PEM. What programs with this environment trust today. */
export function trustedRoots(env: NodeJS.ProcessEnv): string {
  const file = [env["SSL_CERT_FILE"], ...systemRoots].find((path) => path !== undefined && existsSync(path));
  const own = file === undefined ? rootCertificates.join("\n") : readFileSync(file, "utf8");
  const further = env["NODE_EXTRA_CA_CERTS"];
  return further !== undefined && existsSync(further) ? `${own}\n${readFileSync(further, "utf8")}` : own;
}
