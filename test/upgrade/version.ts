import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";

export const root = join(import.meta.dirname, "../..");
const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "nexusd-upgrade");

/** What a version that knows them has too. */
export interface Capabilities {
  /** Keys with labels, methods, paths, leases, and uses, stopped principals, rules that remember or ask, and recorded requests. */
  readonly accessLimits: boolean;
}

/** What an RPC of the frozen version answered, in JSON. */
export interface FrozenAnswer {
  readonly rpc: string;
  readonly request: object;
  readonly response: object;
}

/** `frozen.json` of a fixture: see `freeze.ts`. */
export interface Frozen {
  readonly version: string;
  readonly commit: string;
  /** When the daemon was ended. */
  readonly atMs: number;
  /** Settings of its daemon beside those of `frozenSettings`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Ids of the connections by their user. */
  readonly connections: Readonly<Record<string, string>>;
  /** API keys by their name. */
  readonly keys: Readonly<Record<string, string>>;
  /** The link of the consent that was not given. */
  readonly consentUrl: string;
  readonly answers: readonly FrozenAnswer[];
  /** Of the fleet. */
  readonly fleet: { readonly connectionId: string; readonly key: string };
}

/** A version of nexusd with its fixture in `versions/`. */
export class FrozenVersion {
  readonly frozen: Frozen;

  constructor(readonly name: string) {
    this.frozen = JSON.parse(readFileSync(this.file("frozen.json"), "utf8")) as Frozen;
  }

  static all(): FrozenVersion[] {
    return readdirSync(versionsFolder).map((name) => new FrozenVersion(name));
  }

  /** What its story tells; the checkout before 1.0 calls itself 0.1.0. */
  get capabilities(): Capabilities {
    return capabilitiesOf(this.frozen.version);
  }

  file(name: string): string {
    return join(versionsFolder, this.name, name);
  }

  /** The packed client whose name ends so. */
  client(end: ".tgz" | ".whl"): string {
    const name = readdirSync(this.file("clients")).find((each) => each.endsWith(end));
    return this.file(join("clients", name ?? end));
  }

  /** Lays its data folder out. */
  unpack(folder: string): void {
    execFileSync("tar", ["-xzf", this.file("data.tar.gz"), "-C", folder]);
  }

  /** The program of its daemon, built of the repository's history. */
  program(): readonly string[] {
    return programOf(join(built(this.frozen.commit)));
  }
}

export function capabilitiesOf(version: string): Capabilities {
  return { accessLimits: version !== "0.1.0" };
}

export const versionsFolder = join(import.meta.dirname, "versions");

export function programOf(checkout: string): readonly string[] {
  return [process.execPath, join(checkout, "dist/main.js")];
}

/** A commit of the history with its packages, built: made once, and kept for the next run. @returns the folder */
export function built(commit: string): string {
  const place = join(cache, commit);
  if (existsSync(place)) return place;
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, "work-"));
  try {
    const run = (program: string, ...args: string[]) =>
      execFileSync(program, args, { cwd: work, stdio: ["ignore", "ignore", "inherit"] });
    run("git", "clone", "--quiet", "--no-checkout", "--shared", root, ".");
    run("git", "checkout", "--quiet", "--detach", commit);
    run("npm", "ci", "--no-audit", "--no-fund");
    rmSync(join(work, ".git"), { recursive: true });
    renameSync(work, place);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return place;
}

/** A folder that the caller removes. */
export function workFolder(): string {
  return mkdtempSync(join(tmpdir(), "nexusd-freeze-"));
}
