import { constants } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { GrantFailure } from "../../oauth/failure.js";
import type { Clock } from "../../runtime/clock.js";
import { Secret } from "../../runtime/secret.js";

/** The largest that is known, a projected token of Kubernetes with many audiences, has 2 KiB. */
const maxBytes = 16 * 1024;

/**
 * Files that hold a JWT by which the client proves itself, and that somebody else renews: the kubelet, a SPIRE agent. Operators name them
 * by a setting, profiles only their names: whoever may write profiles must not read files of the machine.
 */
export class AssertionFiles {
  constructor(
    private readonly deps: {
      /** Absolute paths by name, of `NEXUS_CLIENT_ASSERTION_FILES`. */
      readonly clientAssertionFiles: Readonly<Record<string, string>>;
      readonly clock: Clock;
    },
  ) {}

  get names(): readonly string[] {
    return Object.keys(this.deps.clientAssertionFiles);
  }

  /**
   * What the file holds now: it is opened by its path each time, so that a symbolic link that was moved leads to the new file. Neither path nor content is ever in
   * an error.
   *
   * @throws GrantFailure before anything is sent: of kind `client` when the settings have no such name or the file holds something else;
   * `transient` when it cannot be read now, or what it holds has ended
   */
  async read(name: string): Promise<Secret> {
    const { clientAssertionFiles: paths, clock } = this.deps;
    const path = Object.hasOwn(paths, name) ? paths[name] : undefined;
    if (path === undefined)
      throw refused(
        "client",
        `NEXUS_CLIENT_ASSERTION_FILES names no file ${name}: name it there, or another one in the profile`,
      );
    const text = (await contentOf(name, path)).trim();
    const claims = claimsOf(text);
    if (claims === undefined) throw refused("client", `the client assertion file ${name} holds no JWT`);
    const { exp } = claims;
    if (typeof exp === "number" && exp * 1000 <= clock.nowMs()) {
      const end = new Date(Math.max(exp * 1000, 0)).toISOString();
      throw refused(
        "transient",
        `the JWT in the client assertion file ${name} ended at ${end}: what renews the file does not`,
      );
    }
    return new Secret(text);
  }
}

async function contentOf(name: string, path: string): Promise<string> {
  let file: FileHandle | undefined;
  try {
    // A pipe without a writer would hold up whoever opens it.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!(await file.stat()).isFile())
      throw refused("client", `the client assertion file ${name} is no regular file`);
    const bytes = Buffer.alloc(maxBytes + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(bytes, length, bytes.length - length);
      length += bytesRead;
      if (bytesRead === 0 || length === bytes.length) break;
    }
    if (length > maxBytes)
      throw refused("client", `the client assertion file ${name} holds more than ${maxBytes} bytes`);
    return bytes.toString("utf8", 0, length);
  } catch (error) {
    if (error instanceof GrantFailure) throw error;
    const code = error instanceof Error && "code" in error ? String(error.code) : "unknown";
    throw refused(
      "transient",
      `the client assertion file ${name} cannot be read (${code}): check NEXUS_CLIENT_ASSERTION_FILES, and what writes the file`,
    );
  } finally {
    await file?.close();
  }
}

/** RFC 7519 section 3.1: three parts, of which the second is an object. */
function claimsOf(text: string): Readonly<Record<string, unknown>> | undefined {
  const [, payload] = /^[\w-]+\.([\w-]+)\.[\w-]+$/.exec(text) ?? [];
  if (payload === undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
    return typeof claims === "object" && claims !== null ? (claims as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function refused(kind: "client" | "transient", refusal: string): GrantFailure {
  return new GrantFailure({ kind, refusal });
}
