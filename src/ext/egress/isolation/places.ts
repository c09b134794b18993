import { accessSync, constants, existsSync, readdirSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, join, resolve, sep } from "node:path";
import { printable, usageFailure } from "../../../cli/kit.js";

/** What an isolated program may see, and what it must not see. All paths are absolute; they may lead through links. */
export interface Places {
  /** The folder that the program works in. */
  readonly work: string;
  /** Files and folders beside it, as they were named. */
  readonly share: readonly string[];
  /** Of the person: empty in there. */
  readonly homes: readonly string[];
  /** Where this machine keeps temporary files, and other programs of `nexusd run` their sessions. */
  readonly temporary: string;
  /** The folder of the session: certificates and the proxy's socket. */
  readonly session: string;
  /** Folders and files of nexusd, with keys and credentials. */
  readonly hidden: readonly string[];
  /** Where nexusd and Node are installed. */
  readonly own: readonly string[];
}

/** A place in there: what is bound to it, or that it is empty, or where it leads. */
interface Mount {
  readonly path: string;
  readonly kind: "readable" | "writable" | "empty" | "unreadable" | "link";
  /** Of a link. */
  readonly to?: string;
}

/** Of the system: programs and their libraries, and no state of a person. */
const system = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/opt", "/nix/store"];
/** A folder that holds one of these is the machine, or much of it. */
const ofTheMachine = [...system, ..."/boot /dev /nix /proc /run /sys /tmp /var /var/tmp".split(" ")];
/** Nothing below these is a program's to write, but for `sources`. */
const closed = "/bin /boot /dev /etc /lib /lib32 /lib64 /nix /proc /sbin /sys /usr".split(" ");
const sources = ["/usr/src", "/usr/local/src"];
/** Where a daemon of the system has its data and its key. */
const ofTheDaemon = ["/var/lib/nexusd", "/var/lib/private/nexusd", "/etc/nexusd"];
/** What the kernel tells of the machine. */
const ofTheKernel = (
  "acpi asound driver fs scsi config.gz interrupts kcore keys key-users kmsg latency_stats mtrr pagetypeinfo " +
  "pressure sched_debug slabinfo timer_list timer_stats vmallocinfo"
)
  .split(" ")
  .map((name) => `/proc/${name}`);
/** What root may write there without any capability, since the files are its own. */
const settings = ["/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus"];
/** Where services of the system have their keys, and how deep they are looked for. */
const searched = [
  ["/etc", 16],
  ["/usr/local/etc", 16],
  ["/opt", 3],
] as const;

/**
 * The arguments for bubblewrap that make these places.
 *
 * @throws CommandFailure for a folder that would take the boundary away
 */
export function mountsOf(places: Places): string[] {
  const { work, share, session } = places;
  const shared = share.map((given) => ({ given: resolve(given), real: realPathOf(given) }));
  const hidden = [...places.hidden, ...ofTheDaemon].filter(existsSync).map((path) => realpathSync(path));
  const temporary = realpathSync(places.temporary);
  const real = { hidden, temporary, homes: places.homes.map(realIfThere) };
  refuse(
    `the working folder ${work}`,
    realpathSync(work),
    real,
    "start nexusd run in a folder of the program's own",
  );
  for (const { given, real: path } of shared)
    refuse(`--share ${given}`, path, real, "share a folder that holds only what the program needs");

  const writable = [realpathSync(work), ...shared.map((each) => each.real)];
  const own = places.own.map((path) => realpathSync(path));
  const isBound = (path: string) => [...system, ...own, ...writable].some((bound) => isBelow(path, bound));
  const empty = ["/tmp", "/run", ...real.homes.filter((home) => isMade(home, isBound))];
  const emptied = [...hidden, temporary].filter(isBound);
  const mounts = [
    ...[...empty.map(nothingAt), ...own.map(readable), ...writable.map(writtenTo)],
    ...searched
      .flatMap(([path, depth]) => privateBelow(path, depth))
      .filter(({ path }) => !writable.some((each) => isWithin(path, each))),
    ...anchorsOf([...emptied, ...own], writable).filter(
      ({ path }) => !emptied.some((each) => isWithin(path, each)),
    ),
    ...[...emptied.map(nothingAt), ...own.filter(isBound).map(readable)],
    readable(realpathSync(session)),
    ...linksOf([...shared.map(({ given }) => given), ...places.homes], isBound),
  ];
  const nothing = join(session, "nothing");
  return [
    ...system.flatMap((path) => ["--ro-bind-try", path, path]),
    ...["--proc", "/proc", "--dev", "/dev"],
    ...[
      ...ofTheKernel.filter(existsSync).map(nothingAt),
      ...settings.filter(existsSync).map(readable),
    ].flatMap((mount) => argumentsOf(mount, nothing)),
    // What is deeper comes later, and counts.
    ...distinct(mounts)
      .sort((a, b) => depthOf(a.path) - depthOf(b.path))
      .flatMap((mount) => argumentsOf(mount, nothing)),
    ...["--chdir", realpathSync(work)],
  ];
}

/** Of mounts at one place, the last. */
function distinct(mounts: readonly Mount[]): Mount[] {
  return [...new Map(mounts.map((mount) => [mount.path, mount])).values()];
}

function argumentsOf({ path, kind, to = "" }: Mount, nothing: string): string[] {
  if (kind === "empty") return ["--tmpfs", path];
  if (kind === "unreadable") return ["--ro-bind", nothing, path];
  if (kind === "link") return ["--symlink", to, path];
  return [kind === "writable" ? "--bind" : "--ro-bind", path, path];
}

function nothingAt(path: string): Mount {
  return {
    path,
    kind: statSync(path, { throwIfNoEntry: false })?.isDirectory() === false ? "unreadable" : "empty",
  };
}

function writtenTo(path: string): Mount {
  return { path, kind: "writable" };
}

/** Whether a home is empty in there: where nothing can be made, one that is missing stays missing. */
function isMade(home: string, isBound: (path: string) => boolean): boolean {
  return home !== sep && !closed.some((path) => isWithin(home, path)) && (existsSync(home) || !isBound(home));
}

function readable(path: string): Mount {
  return { path, kind: "readable" };
}

/**
 * A folder that something is mounted on cannot be renamed, but those above it can: the program would move the data folder away, and find it unhidden
 * the next time. Mounted on themselves, they stay.
 */
function anchorsOf(guarded: readonly string[], writable: readonly string[]): Mount[] {
  return guarded.flatMap((path) => {
    // The outermost.
    const [root] = writable.filter((each) => isBelow(path, each)).sort((a, b) => depthOf(a) - depthOf(b));
    const anchors: Mount[] = [];
    for (let above = dirname(path); root !== undefined && above !== root; above = dirname(above))
      anchors.push(writtenTo(above));
    return anchors;
  });
}

/** Files and folders that not everybody on this machine may read, but this user may. */
function privateBelow(folder: string, depth: number): Mount[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry): Mount[] => {
    const path = join(folder, entry.name);
    if (!(entry.isFile() || entry.isDirectory()) || !mayRead(path)) return [];
    const { mode } = statSync(path);
    if (entry.isFile()) return (mode & 0o004) === 0 ? [{ path, kind: "unreadable" }] : [];
    if ((mode & 0o005) !== 0o005) return [{ path, kind: "empty" }];
    return depth > 1 ? privateBelow(path, depth - 1) : [];
  });
}

function mayRead(path: string): boolean {
  try {
    accessSync(path, constants.R_OK);
    return true;
  } catch {
    return false;
  }
}

/** A path that was named through a link leads where it leads outside. */
function linksOf(named: readonly string[], isBound: (path: string) => boolean): Mount[] {
  return named.filter(existsSync).flatMap((given) => {
    const path = join(realpathSync(dirname(given)), basename(given));
    const to = realpathSync(given);
    return path === to || isBound(path) ? [] : [{ path, kind: "link", to } as const];
  });
}

interface RealPlaces {
  readonly hidden: readonly string[];
  readonly temporary: string;
  readonly homes: readonly string[];
}

/** @throws CommandFailure for a folder that the program may not write */
function refuse(what: string, path: string, { hidden, temporary, homes }: RealPlaces, advice: string): void {
  const why = (): string | undefined => {
    if (hidden.some((secret) => isWithin(path, secret)))
      return "it is nexusd's own, with keys and credentials";
    if (homes.some((home) => isWithin(home, path))) return "it holds your home folder";
    if (path === temporary) return "it holds the temporary files of other programs";
    const held = ofTheMachine.find((each) => isWithin(each, path));
    if (held !== undefined)
      return held === path ? "it belongs to the machine" : `it holds ${held} of the machine`;
    const isOfTheMachine =
      closed.some((each) => isWithin(path, each)) && !sources.some((each) => isBelow(path, each));
    return isOfTheMachine ? "it belongs to the machine" : undefined;
  };
  const reason = why();
  if (reason === undefined) return;
  const place = what.endsWith(path) ? "" : `, which is ${path}`;
  throw usageFailure(`${printable(`--isolate refuses ${what}${place}: ${reason}`)}: ${advice}`);
}

/** @throws CommandFailure */
function realPathOf(given: string): string {
  try {
    return realpathSync(given);
  } catch {
    throw usageFailure(`--share ${printable(given)}: there is no such file or folder`);
  }
}

function realIfThere(path: string): string {
  return existsSync(path) ? realpathSync(path) : path;
}

function depthOf(path: string): number {
  return path.split(sep).length;
}

function isBelow(path: string, folder: string): boolean {
  return path !== folder && isWithin(path, folder);
}

/** Whether it is the folder, or below it. */
export function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder === sep ? sep : `${folder}${sep}`);
}
