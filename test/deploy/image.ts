import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { layOutBase } from "./bases.js";

/** What the image says of its containers. */
export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly healthcheck: readonly string[];
  readonly exposed: readonly string[];
  readonly volumes: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** Of its manifest: sha256:... */
  readonly digest: string;
}

/** Keeps the digest the same from one build to the next: of all files, in seconds since 1970. */
const epoch = "1700000000";

/**
 * Builds the Dockerfile with buildah, as the release does, on stand-ins of its base images.
 *
 * @param folder gets `root/` with the files of the image, `config.json`, and while it builds the store of buildah
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
  const args = [
    "build",
    ...isolation,
    ...builtAsReleased(context),
    ...same,
    ...bases,
    "--tag",
    "nexusd",
    context,
  ];
  const { status } = spawnSync("buildah", [...place, ...args], { stdio: ["ignore", 2, 2] });
  if (status !== 0) throw new Error(`buildah ended with ${status}`);
  const digestFile = join(folder, "digest");
  buildah(
    place,
    "push",
    "--quiet",
    "--digestfile",
    digestFile,
    "localhost/nexusd",
    `dir:${join(store, "pushed")}`,
  );
  const container = buildah(place, "from", "--pull-never", "localhost/nexusd");
  // Files keep their owners.
  execFileSync("cp", ["--archive", buildah(place, "mount", container), join(folder, "root")]);
  const inspected = JSON.parse(buildah(place, "inspect", "--type", "image", "localhost/nexusd")) as Inspected;
  const config = configOf(inspected, readFileSync(digestFile, "utf8").trim());
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  rmSync(store, { recursive: true, force: true });
}

export function readImage(folder: string): { readonly root: string; readonly config: ImageConfig } {
  const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8")) as ImageConfig;
  return { root: join(folder, "root"), config };
}

/** The format that the workflow of the release asks for: without it, an image would lose its HEALTHCHECK. */
function builtAsReleased(context: string): string[] {
  const workflow = readFileSync(join(context, ".github/workflows/release.yml"), "utf8");
  return /buildah build .*(--format \w+)/.exec(workflow)?.[1]?.split(" ") ?? [];
}

/** The images that the stages begin with, or copy from, under their full names. */
function basesOf(dockerfile: string): string[] {
  const names = [...dockerfile.matchAll(/^FROM (\S+)|^COPY --from=(\S+@\S+)/gm)].map(
    ([, one, other]) => one ?? other ?? "",
  );
  return [...new Set(names)];
}

function makeBase(place: readonly string[], name: string, index: number, folder: string): string {
  const { root, env } = layOutBase(name, folder);
  const container = buildah(place, "from", "scratch");
  buildah(place, "add", "--quiet", container, root, "/");
  const variables = Object.entries(env).flatMap(([key, value]) => ["--env", `${key}=${value}`]);
  buildah(place, "config", ...variables, container);
  const image = `localhost/stand-in-${index}`;
  buildah(place, "commit", "--quiet", "--rm", "--timestamp", epoch, container, image);
  rmSync(root, { recursive: true });
  return image;
}

function buildah(place: readonly string[], ...args: readonly string[]): string {
  return execFileSync("buildah", [...place, ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", 2],
  }).trim();
}

interface Inspected {
  readonly Docker: {
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

function configOf({ Docker: { config } }: Inspected, digest: string): ImageConfig {
  return {
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
