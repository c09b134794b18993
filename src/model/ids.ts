import { randomBytes, randomUUID } from "node:crypto";

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export function newId(): string {
  return randomUUID();
}

export function isId(text: string): boolean {
  return uuidPattern.test(text);
}

/** 256 random bits, base64url without padding (43 characters): for nonce, code verifier and keys. */
export function newToken(): string {
  return randomBytes(32).toString("base64url");
}

/** Of the end of a `state`: seconds of the Unix epoch, big-endian. */
const stateEndBytes = 4;
/** Longer ago than this a state is not called expired any more: text that somebody made up seldom falls into so short a time. */
const expiredForMs = 30 * 24 * 60 * 60_000;

/** A `state`: when it ends, and 256 random bits; base64url (48 characters). So it can be called expired when nothing is stored of it any more. */
export function newState(expiresAtMs: number): string {
  const bytes = randomBytes(stateEndBytes + 32);
  bytes.writeUInt32BE(Math.floor(expiresAtMs / 1000));
  return bytes.toString("base64url");
}

/** Whether a text is a `state` that has ended, by what it says itself: good for the words on a page and for nothing else. */
export function isExpiredState(state: string, nowMs: number): boolean {
  if (!/^[\w-]{48}$/.test(state)) return false;
  const agoMs = nowMs - Buffer.from(state, "base64url").readUInt32BE() * 1000;
  return agoMs >= 0 && agoMs < expiredForMs;
}
