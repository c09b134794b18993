import { execFile } from "node:child_process";
import { existsSync, fstatSync, openSync, realpathSync, writeFileSync } from "node:fs";
import { delimiter, dirname, isAbsolute, join } from "node:path";
import { CommandFailure } from "../../../cli/kit.js";
import { exitCodes } from "../../../core/registry.js";
import { type Platform, platform } from "../../../runtime/runtime.js";
import type { Origin } from "../proxy/dial.js";
import { isWithin, mountsOf, type Places } from "./places.js";
import { placesFile, relayedPlaces } from "./relayed_places.js";
import { isKnownArchitecture, seccompFilter } from "./seccomp.js";

export interface Isolation extends Omit<Places, "own"> {
  /** Where the proxy listens. */
  readonly socket: string;
  /** APIs that the program reaches by their names, whether or not it knows the proxy. */
  readonly direct: readonly Origin[];
  /** Where programs are looked for. */
  readonly path: string;
}

/** What runs a program in there. */
export interface IsolatedCommand {
  readonly argv: readonly string[];
  /** Descriptors that it gets as 4, 5, ... */
  readonly files: readonly number[];
}

/** The descriptor of the filter, for bubblewrap. The one before it is that of the signals. */
const filterDescriptor = 4;
/** Namespaces of every kind but that of the network. */
const others = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"];
/** No capability, and a session of its own. bubblewrap itself takes away new privileges. */
const apart = ["--cap-drop", "ALL", "--new-session", "--die-with-parent"];
/**
 * A network whose ports from `$0` up need no capability (ip(7)), for the relay: only the namespace that owns a network may set that, and for
 * other users than root bubblewrap puts the program into a second one. So the network is made first, and what has it starts bubblewrap again.
 */
const ownNetwork = [
  ...["--unshare-user", "--unshare-net", "--uid", "0", "--gid", "0", "--cap-drop", "ALL"],
  ...["--cap-add", "CAP_NET_ADMIN", "--cap-add", "CAP_SETFCAP", "--dev-bind", "/", "/", "--die-with-parent"],
  ...["--", "/bin/sh", "-c", 'echo "$0" >/proc/sys/net/ipv4/ip_unprivileged_port_start && exec "$@"'],
];

/**
 * The command that runs `argv` in namespaces of its own, behind a filter of system calls: its only way out is the proxy's socket.
 *
 * @throws CommandFailure where bubblewrap or user namespaces are missing, or a folder would take the boundary away
 */
export async function isolated(
  argv: readonly string[],
  isolation: Isolation,
  on: Platform = platform,
): Promise<IsolatedCommand> {
  if (!on.hasNamespaces) throw impossible(adviceWithout(on));
  const { session, socket, path, direct } = isolation;
  refuseFolders();
  // An installation may be reached by links, as those of `npm link`: they lead nowhere in there.
  const [node, main] = [realpathSync(process.execPath), realpathSync(process.argv[1] ?? "")];
  writeFileSync(join(session, "nothing"), "", { mode: 0o400 });
  const mounts = mountsOf({ ...isolation, own: ownPlaces(node, main) });
  const writable = [isolation.work, ...isolation.share].map((each) => realpathSync(each));
  const bubblewrap = findProgram("bwrap", path, writable);
  if (bubblewrap === undefined)
    throw impossible("install bubblewrap (Debian, Ubuntu: apt install bubblewrap)");
  const said = await probe([bubblewrap, "--unshare-net", ...others]);
  if (said !== undefined)
    throw impossible(`this machine lets this user make no namespaces (${said}): ${adviceFor(said)}`);
  const first = await opened(bubblewrap, direct);
  const started = first ?? [bubblewrap, "--unshare-net", ...others];
  const filter = join(session, "filter.bpf");
  writeFileSync(filter, filterOfMachine());
  return {
    argv: [
      ...[...started, ...apart, "--hostname", "isolated", "--seccomp", String(filterDescriptor)],
      ...[...mounts, ...namesIn(session, first ? direct : direct.filter(({ port }) => port >= 1024)), "--"],
      ...[node, ...process.execArgv, main, "run", "--relay", socket, "--", ...argv],
    ],
    files: [openSync(filter, "r")],
  };
}

/** @returns what starts bubblewrap in a network with the ports of APIs open; undefined where none needs that, or the machine does not let it */
async function opened(bubblewrap: string, direct: readonly Origin[]): Promise<string[] | undefined> {
  const lowest = Math.min(...direct.map(({ port }) => port));
  if (lowest >= 1024) return undefined;
  const user = ["--uid", String(process.getuid?.()), "--gid", String(process.getgid?.())];
  const first = [bubblewrap, ...ownNetwork, String(lowest), bubblewrap, ...others, ...user];
  return (await probe(first)) === undefined ? first : undefined;
}

/** Writes which name stands at which address in there, for the program and for the relay. @returns the mount */
function namesIn(session: string, direct: readonly Origin[]): string[] {
  const places = relayedPlaces(direct);
  writeFileSync(join(session, placesFile), JSON.stringify(places));
  const names = new Map(places.map(({ host, address }) => [host, address]));
  const lines = [
    "127.0.0.1 localhost isolated",
    "::1 localhost",
    ...[...names].map(([host, at]) => `${at} ${host}`),
  ];
  const file = join(session, "hosts");
  writeFileSync(file, `${lines.join("\n")}\n`);
  const there = realPathOf("/etc/hosts");
  return there === undefined ? [] : ["--ro-bind", file, there];
}

/** Of the package, what runs: its `package.json` says that its modules are of ECMAScript. */
function ownPlaces(node: string, main: string): string[] {
  const dist = dirname(main);
  return [dirname(node), dist, join(dirname(dist), "package.json")].filter(existsSync);
}

function impossible(why: string): CommandFailure {
  return new CommandFailure(
    exitCodes.failed,
    `--isolate cannot be kept, and the program was not started: ${why}`,
  );
}

/** From a folder that is open, a program reaches those above it, whatever is mounted. */
function refuseFolders(): void {
  for (const [descriptor, name] of ["input", "output", "error"].entries())
    if (isFolder(descriptor)) throw impossible(`standard ${name} is a folder: redirect it from or to a file`);
}

function isFolder(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isDirectory();
  } catch {
    return false;
  }
}

/** @throws CommandFailure */
function filterOfMachine(): Buffer {
  if (isKnownArchitecture(process.arch)) return seccompFilter(process.arch);
  throw impossible(`nexusd has no filter of system calls for ${process.arch}, only for x64 and arm64`);
}

/** None that an isolated program could have put there: with npx, folders of the project are on the `PATH`. */
function findProgram(name: string, path: string, writable: readonly string[]): string | undefined {
  const found = path
    .split(delimiter)
    .map((folder) => (isAbsolute(folder) ? realPathOf(join(folder, name)) : undefined));
  return found.find((file) => file !== undefined && !writable.some((each) => isWithin(file, each)));
}

function realPathOf(path: string): string | undefined {
  try {
    return realpathSync(path);
  } catch {
    return undefined;
  }
}

/** @returns what bubblewrap said against it */
async function probe([program = "", ...started]: readonly string[]): Promise<string | undefined> {
  const tried = [
    ...started,
    ...apart,
    "--ro-bind",
    "/",
    "/",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
    "--",
    "true",
  ];
  return await new Promise((done) => {
    execFile(program, tried, (error, _, stderr) =>
      done(error === null ? undefined : stderr.trim() || error.message),
    );
  });
}

function adviceWithout({ name }: Platform): string {
  return `${name} has no namespaces. Run the whole agent in a container or a virtual machine with Linux, and give it the daemon's egress listener (NEXUS_EGRESS_LISTEN) as its only network`;
}

function adviceFor(said: string): string {
  return /mount proc/i.test(said)
    ? "in a container whose /proc is masked, start the container with --security-opt systempaths=unconfined --security-opt seccomp=unconfined"
    : "set sysctl user.max_user_namespaces above 0 and kernel.unprivileged_userns_clone=1; on Ubuntu, add an AppArmor profile for bwrap; in a container, start it with --security-opt seccomp=unconfined, or isolate the whole container and use the listener (NEXUS_EGRESS_LISTEN)";
}
