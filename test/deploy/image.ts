import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { layOutBase, type Processor, processors } from "./bases.js";

/** What the image says of its containers. */
export interface ImageConfig {
  /** As engines call it: amd64 or arm64. */
  readonly architecture: string;
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly healthcheck: readonly string[];
  readonly exposed: readonly string[];
  readonly volumes: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** Of the list of both processors' manifests, by which an engine finds its own: sha256:... */
  readonly digest: string;
}

/** Keeps the digest the same from one build to the next: of all files, in seconds since 1970. */
const epoch = "1700000000";

/** As engines call it. */
export const engineProcessor = { x64: "amd64", arm64: "arm64" } as const satisfies Record<Processor, string>;

/**
 * Builds the Dockerfile with buildah for both processors, as the release does, on stand-ins of its base images.
 *
 * @param folder gets `x64/` and `arm64/`, each with the files of the image in `root/` and `config.json`; and while it builds the store of buildah
 * @throws Error naming what fails
 */
export function buildImage(context: string, folder: string): void {
  const store = join(folder, "store");
  const place = ["--root", join(store, "root"), "--runroot", join(store, "run"), "--storage-driver", "vfs"];
  mkdirSync(store, { recursive: true });
  const bases = basesOf(readFileSync(join(context, "Dockerfile"), "utf8")).flatMap((name, index) => [
    "--build-context",
    `${name}=docker-image://${makeBase(place, name, index, folder)}`,
  ]);
  const isolation = ["--isolation", "chroot", "--pull-never"];
  const same = ["--timestamp", epoch, "--build-arg", `NEXUS_BUILD_COMMIT=${"0".repeat(40)}`];
  const build = (name: string, from: string): PushedImage => {
    const released = builtAsReleased(from).map((word) => (word === "nexusd" ? name : word));
    const args = ["build", ...isolation, ...released, ...same, ...bases, from];
    const { status } = spawnSync("buildah", [...place, ...args], { stdio: ["ignore", 2, 2] });
    if (status !== 0) throw new Error(`buildah ended with ${status}`);
    return push(place, name, join(store, name));
  };
  const first = build("nexusd", context);
  for (const processor of processors) unpack(place, processor, join(folder, processor), first.digest);
  writeBills(place, first.digest, join(folder, "bills"));
  const builds = [first, build("again", copyContext(context, join(store, "elsewhere/context")))];
  writeFileSync(join(folder, "builds.json"), JSON.stringify(builds));
  rmSync(store, { recursive: true, force: true });
}

/** What a registry gets of one processor. */
interface PushedManifest {
  readonly architecture: string;
  readonly layers: readonly string[];
  readonly config: Readonly<Record<string, unknown>>;
}
export interface PushedImage {
  /** Of the list. */
  readonly digest: string;
  readonly manifests: readonly PushedManifest[];
}

/** Both builds of `buildImage`: the second one is later, in another folder, of files that belong to another user and have other times and modes. */
export const readBuilds = (folder: string): [PushedImage, PushedImage] =>
  JSON.parse(readFileSync(join(folder, "builds.json"), "utf8")) as [PushedImage, PushedImage];

function push(place: readonly string[], name: string, target: string): PushedImage {
  const digestFile = `${target}.digest`;
  script("push_image.mjs", [name, `dir:${target}`, digestFile, ...place]);
  const read = <T>(file: string) => JSON.parse(readFileSync(join(target, file), "utf8")) as T;
  const hexOf = ({ digest }: Digested) => digest.replace("sha256:", "");
  const manifests = read<{ manifests: Digested[] }>("manifest.json").manifests.map((each) => {
    const { config, layers } = read<{ config: Digested; layers: Digested[] }>(`${hexOf(each)}.manifest.json`);
    const its = read<PushedManifest["config"]>(hexOf(config));
    return { architecture: String(its["architecture"]), layers: layers.map(hexOf), config: its };
  });
  rmSync(target, { recursive: true });
  return { digest: readFileSync(digestFile, "utf8").trim(), manifests };
}
interface Digested {
  readonly digest: string;
}

/** What the Dockerfile reads, as another user has it who cloned it now. */
function copyContext(context: string, target: string): string {
  mkdirSync(target, { recursive: true });
  const names = ["Dockerfile", ".dockerignore", "package.json", "package-lock.json", "scripts", "src"];
  const wanted = [...names, "tsconfig.json", "tsconfig.build.json", ".github"].map((name) =>
    join(context, name),
  );
  execFileSync("sh", ["-c", 'umask 077; cp -R "$@"', "sh", ...wanted, target]);
  execFileSync("chown", ["-R", "65534:65534", target]);
  return target;
}

/** As the workflow of the release lists what the image contains. */
function writeBills(place: readonly string[], digest: string, folder: string): void {
  script("image_bills.mjs", ["nexusd", `registry.example/nexusd@${digest}`, folder, ...place]);
}

/** Runs one of the release's own. */
function script(name: string, args: readonly string[]): void {
  const path = join(import.meta.dirname, "../../scripts/release", name);
  execFileSync(process.execPath, [path, ...args], {
    stdio: ["ignore", 2, 2],
    env: { ...process.env, SOURCE_DATE_EPOCH: epoch },
  });
}

/** A component of a bill of materials. */
interface Part {
  readonly name: string;
  readonly version: string;
  readonly purl: string;
}

export function readBill(folder: string, processor: Processor) {
  const [name = ""] = readdirSync(join(folder, "bills")).filter((file) =>
    file.includes(`-linux-${engineProcessor[processor]}.`),
  );
  const text = readFileSync(join(folder, "bills", name), "utf8");
  return JSON.parse(text) as {
    readonly metadata: { readonly component: Readonly<Record<string, unknown>> };
    readonly components: readonly Part[];
  };
}

/** Takes the image of one processor out of the list. */
function unpack(place: readonly string[], processor: Processor, folder: string, digest: string): void {
  mkdirSync(folder);
  const platform = `linux/${engineProcessor[processor]}`;
  const container = buildah(place, "from", "--pull-never", "--platform", platform, "nexusd");
  // Files keep their owners.
  execFileSync("cp", ["--archive", buildah(place, "mount", container), join(folder, "root")]);
  const inspected = JSON.parse(buildah(place, "inspect", "--type", "container", container)) as Inspected;
  writeFileSync(join(folder, "config.json"), JSON.stringify(configOf(inspected, digest)));
}

/** @param folder that `buildImage` was given */
export function readImage(
  folder: string,
  processor: Processor = "x64",
): { readonly root: string; readonly config: ImageConfig } {
  const place = join(folder, processor);
  const config = JSON.parse(readFileSync(join(place, "config.json"), "utf8")) as ImageConfig;
  return { root: join(place, "root"), config };
}

/** What the workflow of the release asks for: the format, without which an image would lose its HEALTHCHECK, the processors, and the list of them. */
function builtAsReleased(context: string): string[] {
  const workflow = readFileSync(join(context, ".github/workflows/release.yml"), "utf8");
  const [command = ""] = /buildah build (?:.*\\\n)*.*/.exec(workflow) ?? [];
  const asked = /--(?:format|platform|manifest) \S+|--build-arg BUILDPLATFORM=\S+/g;
  return [...command.matchAll(asked)].flatMap(([words]) => words.split(" "));
}

/** The images that the stages begin with, or copy from, under their full names. */
function basesOf(dockerfile: string): string[] {
  const names = [...dockerfile.matchAll(/^FROM (?:--platform=\S+ )?(\S+)|^COPY --from=(\S+@\S+)/gm)].map(
    ([, one, other]) => one ?? other ?? "",
  );
  return [...new Set(names)];
}

/** @returns the name of a list with an image for each processor that the base is there for */
function makeBase(place: readonly string[], name: string, index: number, folder: string): string {
  const { roots, env } = layOutBase(name, folder);
  const variables = Object.entries(env).flatMap(([key, value]) => ["--env", `${key}=${value}`]);
  const images = [...roots].map(([processor, root]) => {
    const container = buildah(place, "from", "scratch");
    buildah(place, "add", "--quiet", container, root, "/");
    buildah(place, "config", ...variables, "--arch", engineProcessor[processor], container);
    const image = `localhost/stand-in-${index}-${processor}`;
    buildah(place, "commit", "--quiet", "--rm", "--timestamp", epoch, container, image);
    rmSync(root, { recursive: true });
    return image;
  });
  const list = `localhost/stand-in-${index}`;
  buildah(place, "manifest", "create", list, ...images);
  return list;
}

function buildah(place: readonly string[], ...args: readonly string[]): string {
  return execFileSync("buildah", [...place, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", 2],
  }).trim();
}

interface Inspected {
  readonly Docker: {
    readonly architecture: string;
    readonly config: {
      readonly Entrypoint: readonly string[];
      readonly Cmd: readonly string[];
      readonly Env: readonly string[];
      readonly User: string;
      readonly Healthcheck?: { readonly Test: readonly string[] };
      readonly ExposedPorts: object;
      readonly Volumes: object;
      readonly Labels: Readonly<Record<string, string>>;
    };
  };
}

function configOf({ Docker: { architecture, config } }: Inspected, digest: string): ImageConfig {
  return {
    architecture,
    entrypoint: config.Entrypoint,
    cmd: config.Cmd,
    env: Object.fromEntries(config.Env.map((pair) => pair.split(/=(.*)/s, 2) as [string, string])),
    user: config.User,
    healthcheck: config.Healthcheck?.Test ?? [],
    exposed: Object.keys(config.ExposedPorts),
    volumes: Object.keys(config.Volumes),
    labels: config.Labels,
    digest,
  };
}
