import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { digestOf, matchesDigest } from "./api_key.js";
import { writeNewSecretFile } from "./key_file.js";
import { readSecretFile } from "./secret_file.js";

/** An API key as the daemon holds it: its digest, compared in constant time. */
export class ApiKey {
  readonly #digest: Buffer;

  constructor(key: string) {
    this.#digest = digestOf(key);
  }

  matches(candidate: string): boolean {
    return matchesDigest(candidate, this.#digest);
  }
}

/**
 * Reads the key of the file, or, with `create`, makes one (256 random bits, 0600).
 *
 * @throws Error when the file is not there and not to be made, or does not hold a key, or other users can read it
 */
export function loadApiKey(
  path: string,
  { create }: { readonly create: boolean } = { create: true },
): { readonly key: ApiKey; readonly created: boolean } {
  const created = !existsSync(path);
  if (created && !create) throw new Error(`there is no file ${path}: NEXUS_ADMIN_KEY_FILE names it`);
  if (created) writeNewSecretFile(path, `nxk_${randomBytes(32).toString("base64url")}\n`);
  const text = readSecretFile(path).trim();
  if (text.length < 20)
    throw new Error(
      `${path} does not hold an API key of at least 20 characters: ${create ? "delete it, and one is made at the next start" : "make one with: openssl rand -hex 32"}`,
    );
  return { key: new ApiKey(text), created };
}
