import { hash, randomBytes, timingSafeEqual } from "node:crypto";
import { Secret } from "../runtime/secret.js";

/** 64 random bits in hexadecimal, public; then 256 random bits in base64url. */
const form = /^nxk_([0-9a-f]{16})_[A-Za-z0-9_-]{43}$/;

/** Compared with what names no key, so that an unknown id takes as long as a wrong secret. */
const nobody = Buffer.alloc(32);

/** Makes a key: `nxk_<id>_<secret>`. @param id of a key that gets a new secret; a new one by default */
export function newApiKey(id = randomBytes(8).toString("hex")): {
  readonly id: string;
  readonly key: Secret;
  readonly digest: Buffer;
} {
  const text = `nxk_${id}_${randomBytes(32).toString("base64url")}`;
  return { id, key: new Secret(text), digest: digestOf(text) };
}

/** The public id inside a key; undefined when it is none of that form. */
export function apiKeyId(text: string): string | undefined {
  return form.exec(text)?.[1];
}

/** SHA-256 suffices: a key is 256 random bits, which nobody guesses. */
export function digestOf(text: string): Buffer {
  return hash("sha256", text, "buffer");
}

/** In constant time; false when there is no digest to compare with. */
export function matchesDigest(text: string, digest: Uint8Array | undefined): boolean {
  const isEqual = timingSafeEqual(digestOf(text), digest ?? nobody);
  return digest !== undefined && isEqual;
}
