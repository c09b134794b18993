import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { writeNewSecretFile } from "./key_file.js";

/** An API key as the daemon holds it: its digest, compared in constant time. */
export class ApiKey {
  readonly #digest: Buffer;

  constructor(key: string) {
    this.#digest = digestOf(key);
  }

  matches(candidate: string): boolean {
    return timingSafeEqual(this.#digest, digestOf(candidate));
  }
}

/** Reads the key of the file, or makes one (256 random bits, 0600). An empty file is refused. */
export function loadApiKey(path: string): { readonly key: ApiKey; readonly created: boolean } {
  const created = !existsSync(path);
  if (created) writeNewSecretFile(path, `nxk_${randomBytes(32).toString("base64url")}\n`);
  const text = readFileSync(path, "utf8").trim();
  if (text.length < 20)
    throw new Error(`${path} does not hold an API key: delete it, and one is made at the next start`);
  return { key: new ApiKey(text), created };
}

function digestOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
