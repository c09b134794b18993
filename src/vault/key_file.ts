import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/** The key cannot be used; the message is for a person and names the file, never the key. */
export class KeyFault extends Error {
  override readonly name = "KeyFault";
}

/** Decodes a key: base64 or base64url of 32 bytes, surrounding white space ignored. */
export function decodeKey(text: string, origin: string): Buffer {
  const trimmed = text.trim();
  const key = Buffer.from(trimmed, "base64");
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(trimmed) || key.length !== 32) {
    throw new KeyFault(
      `${origin} must hold base64 of 32 bytes (44 characters); make one with: openssl rand -base64 32`,
    );
  }
  return key;
}

export function readKeyFile(path: string): Buffer {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new KeyFault(`the encryption key ${path} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
  return decodeKey(text, path);
}

/** Makes a key file (0600) that did not exist, durably: what is sealed with it must not outlive it. */
export function createKeyFile(path: string): Buffer {
  const key = randomBytes(32);
  writeNewSecretFile(path, `${key.toString("base64")}\n`);
  return key;
}

/** Writes a file that did not exist (0600) and flushes it and its folder. */
export function writeNewSecretFile(path: string, text: string): void {
  const file = openSync(path, "wx", 0o600);
  try {
    writeSync(file, text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  const folder = openSync(dirname(path), "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}
