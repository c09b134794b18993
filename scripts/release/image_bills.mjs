// node scripts/release/image_bills.mjs IMAGE NAME@sha256:DIGEST OUT [OPTION OF BUILDAH...]: writes a bill of materials for each processor of an image
// that buildah built, into OUT. It reads the files of the image alone, and runs none of them.

import { mkdirSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { version } from "../versions.mjs";
import { writeBill } from "./attestations.mjs";
import { component } from "./bills.mjs";
import { readJson, run } from "./run.mjs";

const [image, reference, out, ...options] = process.argv.slice(2);

/** The packages of Debian in the base image: one file each, as the images without a package manager have it. */
function debianParts(root) {
  const folder = join(root, "var/lib/dpkg/status.d");
  const names = readdirSync(folder).filter((name) => !name.endsWith(".md5sums"));
  return names.sort().map((file) => {
    const text = readFileSync(join(folder, file), "utf8");
    const field = (name) => new RegExp(`^${name}: (.*)$`, "m").exec(text)?.[1] ?? "";
    const [name, its] = [field("Package"), field("Version")];
    const place = `${encodeURIComponent(name)}@${encodeURIComponent(its)}?arch=${field("Architecture")}`;
    return component(`pkg:deb/debian/${place}`, name, its);
  });
}

/** Node says in its program of which archive it was built; that of another processor cannot be started. */
function nodePart(root) {
  const program = readFileSync(join(root, "nodejs/bin/node"), "latin1");
  const [, its] = /\/node-v(\d+\.\d+\.\d+)\.tar/.exec(program) ?? [];
  if (its === undefined) throw new Error("nodejs/bin/node of the image says no version");
  return component(`pkg:generic/node@${its}`, "node", its);
}

/** What npm installed, and what the bundles hold. */
function packageParts(root) {
  const app = join(root, "app");
  const modules = join(app, "node_modules");
  const manifest = /^(?:.*\/node_modules\/)?(?:@[^/]+\/)?[^/@]+\/package\.json$/;
  const installed = readdirSync(modules, { recursive: true })
    .filter((path) => manifest.test(path))
    .map((path) => readJson(join(modules, path)));
  const parts = [...installed, ...readJson(join(app, "dist/bundle/packages.json"))].map((one) => {
    const license = one.license && { licenses: [licenseOf(one.license)] };
    return component(
      `pkg:npm/${one.name.replace("@", "%40")}@${one.version}`,
      one.name,
      one.version,
      license,
    );
  });
  return [...new Map(parts.map((part) => [part["bom-ref"], part])).values()];
}

const licenseOf = (license) =>
  / |\(/.test(license) ? { expression: license } : { license: { id: license } };

const buildah = (...args) => run("buildah", [...options, ...args]).trim();

function main() {
  const [, name, digest] = /^([^@]+)@sha256:([0-9a-f]{64})$/.exec(reference ?? "") ?? [];
  if (!digest || !out) throw new Error("usage: image_bills.mjs IMAGE NAME@sha256:DIGEST OUT");
  const epoch = Number(process.env.SOURCE_DATE_EPOCH ?? run("git", ["log", "-1", "--format=%ct"]));
  mkdirSync(out, { recursive: true });
  for (const processor of ["amd64", "arm64"]) {
    const container = buildah("from", "--pull-never", "--platform", `linux/${processor}`, image);
    const root = buildah("mount", container);
    const purl = `pkg:oci/nexusd@sha256:${digest}?arch=${processor}&repository_url=${name}`;
    const whole = { "bom-ref": purl, type: "container", name, version, purl, digest };
    const parts = [...debianParts(root), nodePart(root), ...packageParts(root)];
    writeBill(join(out, `nexusd-image-${version}-linux-${processor}.cdx.json`), whole, parts, epoch);
    buildah("rm", container);
  }
}

try {
  main();
} catch (error) {
  console.error(`image_bills: ${error.message}`);
  process.exitCode = 1;
}
