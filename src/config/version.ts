import { readFileSync } from "node:fs";
import { platform } from "../runtime/platform/platform.js";

/** The version of this program, as its package says. */
export function readVersion(): string {
  const packageFile: unknown = JSON.parse(
    readFileSync(new URL("../../package.json", import.meta.url), "utf8"),
  );
  const { version } = packageFile as { version?: unknown };
  if (typeof version !== "string") throw new Error("package.json has no version");
  return version;
}

/** What a report of an error must name. */
export interface ProgramVersion {
  readonly version: string;
  /** The hash of the commit that the bundle was built from, or `unknown`: nothing was bundled, or not in a git checkout. */
  readonly commit: string;
  /** As `v26.12.1`. */
  readonly node: string;
  /** The system and the processor, as `linux-x64`. */
  readonly platform: string;
}

export function readProgramVersion(): ProgramVersion {
  return {
    version: readVersion(),
    commit: readCommit(),
    node: process.version,
    platform: platform.target,
  };
}

/** The build writes the file beside the bundle. */
function readCommit(): string {
  try {
    return readFileSync(new URL("commit.txt", import.meta.url), "utf8").trim();
  } catch {
    return "unknown";
  }
}
