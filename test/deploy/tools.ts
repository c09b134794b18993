import { has, pathOf } from "../needs.js";
import { hasBases } from "./bases.js";

/** What the tests need and where it comes from. */
const tools = {
  buildah: "Debian's buildah",
  bwrap: "Debian's bubblewrap",
  setpriv: "Debian's util-linux",
  "qemu-aarch64-static": "Debian's qemu-user-static",
  helm: "go install helm.sh/helm/v3/cmd/helm@v3.22.0",
  "kubernetes-validate": "pip install kubernetes-validate==1.37.0",
} as const;

/** One sentence for each tool that is not there. */
export function missingTools(): string[] {
  const missing = Object.entries(tools)
    .filter(([name]) => pathOf(name) === undefined)
    .map(([name, origin]) => `${name} (${origin})`);
  if (!has("postgresql")) missing.push("PostgreSQL 14 or newer (Debian's postgresql)");
  if (!hasBases()) missing.push("packages for the base images (install_image of .ci/tools.sh)");
  if (process.getuid?.() !== 0) missing.push("root, to be the users of the containers");
  return missing;
}
