import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

/** Absolute paths. */
export interface IdentityPaths {
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  readonly tokenFile: string | undefined;
}

export interface IdentityMaterial {
  /** PEM. */
  readonly ca: Buffer | null;
  readonly key: Buffer | null;
  readonly certificate: Buffer | null;
}

/** A file that says who this spoke is cannot be read. */
export class IdentityUnreadable extends Error {
  override readonly name = "IdentityUnreadable";
}

/** Who this spoke is, from files that others replace. */
export class IdentityFiles {
  constructor(private readonly paths: IdentityPaths) {}

  /** @throws IdentityUnreadable */
  material(): IdentityMaterial {
    const { caFile, certFile, keyFile } = this.paths;
    return { ca: optional(caFile), key: optional(keyFile), certificate: optional(certFile) };
  }

  /** Another one when the files hold something else. @throws IdentityUnreadable */
  stamp(): string {
    const { ca, key, certificate } = this.material();
    const digest = createHash("sha256");
    for (const part of [ca, key, certificate]) digest.update(`${part?.length ?? -1}:`).update(part ?? "");
    return digest.digest("base64");
  }

  /** The JWT or the API key. @throws IdentityUnreadable, also when it is empty or no token */
  token(): string | undefined {
    const { tokenFile } = this.paths;
    if (tokenFile === undefined) return undefined;
    const token = read(tokenFile).toString("utf8").trim();
    if (/^[\x21-\x7e]{1,16384}$/.test(token)) return token;
    throw new IdentityUnreadable(`${tokenFile} holds no token: one line of visible ASCII is expected`);
  }
}

function optional(path: string | undefined): Buffer | null {
  return path === undefined ? null : read(path);
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown";
    throw new IdentityUnreadable(`${path} cannot be read (${code})`);
  }
}
