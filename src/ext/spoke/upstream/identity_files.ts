import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { SecureContextOptions } from "node:tls";

/** Absolute paths. */
export interface IdentityPaths {
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly tokenFile: string | undefined;
}

/** A file that says who this spoke is cannot be read. */
export class IdentityUnreadable extends Error {
  override readonly name = "IdentityUnreadable";
}

/** Who this spoke is, from files that others replace. */
export class IdentityFiles {
  constructor(private readonly paths: IdentityPaths) {}

  /** In PEM. @throws IdentityUnreadable */
  material(): SecureContextOptions {
    const { caFile: ca, keyFile: key, certFile: cert } = this.paths;
    const given = Object.entries({ ca, key, cert }).filter(([, path]) => path !== undefined);
    return Object.fromEntries(given.map(([name, path]) => [name, read(path ?? "")]));
  }

  /** Another one when the files hold something else. @throws IdentityUnreadable */
  stamp(): string {
    return createHash("sha256").update(JSON.stringify(this.material())).digest("base64");
  }

  /** The JWT or the API key. @throws IdentityUnreadable, also when it is empty or no token */
  token(): string | undefined {
    const { tokenFile } = this.paths;
    if (tokenFile === undefined) return undefined;
    const token = read(tokenFile).trim();
    if (/^[\x21-\x7e]{1,16384}$/.test(token)) return token;
    throw new IdentityUnreadable(`${tokenFile} holds no token: one line of visible ASCII is expected`);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown";
    throw new IdentityUnreadable(`${path} cannot be read (${code})`);
  }
}
