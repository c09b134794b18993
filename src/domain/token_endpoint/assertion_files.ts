import { claimsOf } from "../../oauth/jwt.js";
import type { Clock } from "../../runtime/clock.js";
import { Secret } from "../../runtime/secret.js";
import { ProofFiles, refusedFile } from "./proof_files.js";

/** The largest that is known, a projected token of Kubernetes with many audiences, has 2 KiB. */
const maxBytes = 16 * 1024;

/**
 * Files that hold a JWT by which the client proves itself, and that somebody else renews: the kubelet, a SPIRE agent. Operators name them
 * by a setting, profiles only their names: a caller that may write profiles must not read files of the machine.
 */
export class AssertionFiles extends ProofFiles {
  constructor(
    private readonly deps: {
      /** Absolute paths by name, of `NEXUS_CLIENT_ASSERTION_FILES`. */
      readonly clientAssertionFiles: Readonly<Record<string, string>>;
      readonly clock: Clock;
    },
  ) {
    super({
      ...{ paths: deps.clientAssertionFiles, setting: "NEXUS_CLIENT_ASSERTION_FILES" },
      ...{ kind: "client assertion file", maxBytes },
    });
  }

  /**
   * What the file holds now. It is opened by its path each time, so that a symbolic link that was moved leads to the new file. Neither path
   * nor content is ever in an error.
   *
   * @throws GrantFailure before anything is sent: of kind `client` if the settings have no such name or the file holds something else.
   * `transient` if it cannot be read now, or its content has expired.
   */
  async read(name: string): Promise<Secret> {
    const text = (await this.text(name)).trim();
    const claims = /^[\w-]+\.[\w-]+\.[\w-]+$/.test(text) ? claimsOf(text) : undefined;
    if (claims === undefined) throw refusedFile("client", `the client assertion file ${name} holds no JWT`);
    const { exp } = claims;
    if (typeof exp === "number" && exp * 1000 <= this.deps.clock.nowMs()) {
      const end = new Date(Math.max(exp * 1000, 0)).toISOString();
      throw refusedFile(
        "transient",
        `the JWT in the client assertion file ${name} ended at ${end}: what renews the file does not`,
      );
    }
    return new Secret(text);
  }
}
