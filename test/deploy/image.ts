import { spawnSync } from "node:child_process";
import {
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { basename, dirname, join, relative } from "node:path";

/** What the last stage of the Dockerfile says of the container. */
export interface ImageConfig {
  readonly entrypoint: readonly string[];
  readonly cmd: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly healthcheck: readonly string[];
  readonly exposed: readonly string[];
  readonly volumes: readonly string[];
}

interface Instruction {
  readonly word: string;
  readonly rest: string;
}

/** Instead of the Node that the base images bring. */
const nodePath = "/nodejs/bin/node";

/**
 * Does what the Dockerfile says, without an engine: COPY through .dockerignore, RUN under bubblewrap, where the stage's folders lie at
 * their paths over this machine's system. The Node is the one that runs this, and not that of the base images.
 *
 * @param folder gets `root/` with the last stage's files and `config.json`
 * @throws Error naming the instruction that fails, or that is not known here
 */
export function buildImage(context: string, folder: string): void {
  const stages = stagesOf(readFileSync(join(context, "Dockerfile"), "utf8"));
  const [build, last] = stages;
  if (!build || !last || stages.length !== 2)
    throw new Error(`two stages are expected, not ${stages.length}`);
  const buildRoot = join(folder, "build");
  const lastRoot = join(folder, "root");
  const admitted = admittedBy(readFileSync(join(context, ".dockerignore"), "utf8"));
  runStage(build, { context, admitted, root: buildRoot, buildRoot });
  runStage(last, { context, admitted, root: lastRoot, buildRoot });
  writeFileSync(join(folder, "config.json"), JSON.stringify(configOf(last)));
}

export function readImage(folder: string): { readonly root: string; readonly config: ImageConfig } {
  const config = JSON.parse(readFileSync(join(folder, "config.json"), "utf8")) as ImageConfig;
  return { root: join(folder, "root"), config };
}

/** Binds of this machine's system, read-only, for a program that the image's base would bring libraries for. */
export function systemBinds(except: readonly string[] = []): string[] {
  return ["/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin"].flatMap((path) => {
    if (!existsSync(path) || except.includes(path)) return [];
    return lstatSync(path).isSymbolicLink()
      ? ["--symlink", readlinkSync(path), path]
      : ["--ro-bind", path, path];
  });
}

export function nodeBinds(): string[] {
  return ["--ro-bind", process.execPath, nodePath];
}

function stagesOf(dockerfile: string): Instruction[][] {
  const lines = dockerfile
    .split("\n")
    .filter((line) => !/^\s*(#|$)/.test(line))
    .join("\n")
    .replace(/\\\n/g, " ")
    .split("\n");
  const stages: Instruction[][] = [];
  for (const line of lines) {
    const [, word = "", rest = ""] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    if (word === "FROM") stages.push([]);
    else stages.at(-1)?.push({ word, rest: rest.replace(/\s+/g, " ").trim() });
  }
  return stages;
}

/** Of a list that excludes everything and then admits files and folders; another form is not known here. */
function admittedBy(dockerignore: string): (path: string) => boolean {
  const lines = dockerignore.split("\n").filter((line) => !/^\s*(#|$)/.test(line));
  if (lines[0] !== "*" || !lines.slice(1).every((line) => /^![\w./-]+$/.test(line)))
    throw new Error(".dockerignore: only `*` and then `!path` are known here");
  const admitted = lines.slice(1).map((line) => line.slice(1));
  return (path) =>
    path === "" ||
    admitted.some((one) => path === one || path.startsWith(`${one}/`) || one.startsWith(`${path}/`));
}

interface Stage {
  readonly context: string;
  readonly admitted: (path: string) => boolean;
  readonly root: string;
  readonly buildRoot: string;
}

function runStage(instructions: readonly Instruction[], stage: Stage): void {
  mkdirSync(stage.root, { recursive: true });
  let workdir = "/";
  for (const { word, rest } of instructions) {
    if (word === "WORKDIR") {
      workdir = rest;
      mkdirSync(join(stage.root, workdir), { recursive: true });
    } else if (word === "COPY") copy(rest, workdir, stage);
    else if (word === "RUN") run(rest, workdir, stage.root);
    else if (
      !["ARG", "ENV", "LABEL", "VOLUME", "EXPOSE", "USER", "HEALTHCHECK", "ENTRYPOINT", "CMD"].includes(word)
    )
      throw new Error(`${word} is not known here`);
  }
}

function copy(rest: string, workdir: string, { context, admitted, root, buildRoot }: Stage): void {
  const words = rest.split(" ");
  const options = words.filter((word) => word.startsWith("--"));
  const paths = words.filter((word) => !word.startsWith("--"));
  const target = paths.pop() ?? "";
  const from = options.find((option) => option.startsWith("--from="))?.slice("--from=".length);
  if (from !== undefined && from !== "build") return; // Another image: its Node is bound where it is used.
  const [, uid, gid] = /--chown=(\d+):(\d+)/.exec(rest) ?? [];
  const base = from === undefined ? context : buildRoot;
  for (const path of paths) {
    const source = join(base, path);
    if (from === undefined && !admitted(path.replace(/\/$/, "")))
      throw new Error(`COPY ${path}: .dockerignore keeps it out of the context`);
    if (!existsSync(source)) throw new Error(`COPY ${path}: it is not there`);
    const isFolder = lstatSync(source).isDirectory();
    const into = join(
      root,
      target.startsWith("/") ? target : join(workdir, target),
      isFolder ? "" : basename(path),
    );
    mkdirSync(dirname(into), { recursive: true });
    const filter = (file: string): boolean => from !== undefined || admitted(relative(context, file));
    cpSync(source, into, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true, filter });
    if (uid === undefined) continue;
    for (const name of readdirSync(source)) chownSync(join(into, name), Number(uid), Number(gid));
  }
}

function run(command: string, workdir: string, root: string): void {
  const home = homedir();
  const cache = join(home, ".npm");
  mkdirSync(cache, { recursive: true });
  mkdirSync(join(root, "volume"), { recursive: true });
  mkdirSync(join(root, "app"), { recursive: true });
  const binds = [
    ...systemBinds(),
    ...["--ro-bind", "/etc", "/etc", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"],
    ...["/opt", "/run"].flatMap((path) => (existsSync(path) ? ["--ro-bind", path, path] : [])),
    ...["--ro-bind", home, home, "--bind", cache, cache],
    ...["--bind", join(root, "app"), "/app", "--bind", join(root, "volume"), "/volume"],
    ...nodeBinds(),
  ];
  const path = `${dirname(process.execPath)}:${process.env["PATH"] ?? ""}`;
  const { status } = spawnSync("bwrap", [...binds, "--chdir", workdir, "--", "sh", "-ec", command], {
    stdio: ["ignore", 2, 2],
    env: { ...process.env, PATH: path },
  });
  if (status !== 0) throw new Error(`RUN ${command}: exit code ${status}`);
}

function configOf(instructions: readonly Instruction[]): ImageConfig {
  const all = (word: string): string[] =>
    instructions.filter((one) => one.word === word).map(({ rest }) => rest);
  const list = (text: string | undefined): string[] => JSON.parse(text ?? "[]") as string[];
  const env = all("ENV").flatMap((rest) =>
    rest.split(" ").map((pair) => pair.split("=", 2) as [string, string]),
  );
  return {
    entrypoint: list(all("ENTRYPOINT")[0]),
    cmd: list(all("CMD")[0]),
    env: Object.fromEntries(env),
    user: all("USER")[0] ?? "",
    healthcheck: list(/CMD (\[.*\])/.exec(all("HEALTHCHECK")[0] ?? "")?.[1]),
    exposed: all("EXPOSE"),
    volumes: all("VOLUME"),
  };
}
