import { randomBytes, randomUUID } from "node:crypto";

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function newId(): string {
  return randomUUID();
}

export function isId(text: string): boolean {
  return uuidPattern.test(text);
}

/** 256 random bits, base64url without padding (43 characters): for `state`, nonce, code verifier and keys. */
export function newToken(): string {
  return randomBytes(32).toString("base64url");
}
