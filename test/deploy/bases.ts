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
const [x64, arm64, slim, node] = ["image-last", "image-last-arm64", "image-build", "image-node"].map((name) =>
  join(toolsFolder, name),
) as [string, string, string, string];

/** The processors of the image, as Node calls them. */
export const processors = ["x64", "arm64"] as const;
export type Processor = (typeof processors)[number];

const debian = { x64, arm64 } satisfies Record<Processor, string>;
const nodeOf = (processor: Processor): string => join(node, `node_modules/node-linux-${processor}/bin/node`);

export const hasBases = (): boolean =>
  [x64, arm64, slim, join(node, "node_modules/npm"), ...processors.map(nodeOf)].every(existsSync);

/** The files of an image, and what its configuration says. */
export interface Base {
  /** A folder for each processor that it is there for. */
  readonly roots: ReadonlyMap<Processor, string>;
  readonly env: Readonly<Record<string, string>>;
}

/** Stands in for an image of Docker's or Google's, which no test fetches. @throws Error if none is known for this name */
export function layOutBase(image: string, folder: string): Base {
  const place = (processor: Processor): string => join(folder, `base-${processor}`);
  // The stage that builds runs on this machine's processor, whichever the image is for.
  if (image.startsWith("node:")) {
    const env = { PATH: "/usr/local/bin:/usr/bin:/bin", NODE_EXTRA_CA_CERTS: authorities };
    return { roots: new Map([["x64", layOutSlim(place("x64"))]]), env };
  }
  if (!image.startsWith("gcr.io/distroless/nodejs")) throw new Error(`nothing stands in for ${image}`);
  const env = { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" };
  return { roots: new Map(processors.map((one) => [one, layOutDistroless(place(one), one)])), env };
}

const authorities = "/etc/ssl/certs/ca-certificates.crt";

/** Like Debian's slim image with Node: a shell, coreutils, npm. */
function layOutSlim(root: string): string {
  cpSync(slim, root, { recursive: true, verbatimSymlinks: true });
  if (!existsSync(join(root, "bin/sh"))) symlinkSync("dash", join(root, "bin/sh"));
  const place = join(root, "usr/local");
  for (const name of ["bin", "lib/node_modules"]) mkdirSync(join(place, name), { recursive: true });
  cpSync(nodeOf("x64"), join(place, "bin/node"));
  cpSync(join(node, "node_modules/npm"), join(place, "lib/node_modules/npm"), {
    recursive: true,
    verbatimSymlinks: true,
  });
  symlinkSync("../lib/node_modules/npm/bin/npm-cli.js", join(place, "bin/npm"));
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n");
  writeFileSync(join(root, "etc/group"), "root:x:0:\n");
  // npm asks its registry as this machine does, whose network may have an authority of its own.
  cpSync(authorities, join(root, authorities));
  return root;
}

/** Like the image without a shell: Node, its libraries, and the authorities that Mozilla trusts. */
function layOutDistroless(root: string, processor: Processor): string {
  cpSync(debian[processor], root, { recursive: true, verbatimSymlinks: true });
  // What Debian's packages do when they are installed, and not only unpacked.
  rmSync(join(root, "var/run"), { recursive: true });
  symlinkSync("/run", join(root, "var/run"));
  writeFileSync(join(root, "etc/nsswitch.conf"), "hosts: files dns\n");
  mkdirSync(join(root, "nodejs/bin"), { recursive: true });
  cpSync(nodeOf(processor), join(root, "nodejs/bin/node"));
  const nonroot = "nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n";
  writeFileSync(join(root, "etc/passwd"), `root:x:0:0:root:/root:/sbin/nologin\n${nonroot}`);
  writeFileSync(join(root, "etc/group"), "root:x:0:\nnonroot:x:65532:\n");
  const mozilla = join(root, "usr/share/ca-certificates/mozilla");
  const roots = readdirSync(mozilla)
    .sort()
    .map((name) => readFileSync(join(mozilla, name), "utf8"));
  writeFileSync(join(root, authorities), roots.join(""));
  return root;
}
