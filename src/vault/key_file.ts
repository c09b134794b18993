import { randomBytes } from "node:crypto";
import { closeSync, fsyncSync, openSync, realpathSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { keyIdOf } from "./sealing_key.js";
import { readSecretFile, SecretFileOpen } from "./secret_file.js";

/** The key cannot be used; the message is for a person and names the file, never the key. */
export class KeyFault extends Error {
  override readonly name = "KeyFault";
}

/** More keys than a rotation ever needs at a time. */
const maxKeys = 16;

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

/**
 * Decodes a ring: one key or several, apart by white space or commas, the newest last. What follows `#` on a line is a comment.
 *
 * @throws KeyFault
 */
export function decodeKeys(text: string, origin: string): Buffer[] {
  const words = wordsOf(text);
  if (words.length === 0) return [decodeKey("", origin)];
  if (words.length > maxKeys)
    throw new KeyFault(`${origin} holds ${words.length} keys, at most ${maxKeys} are taken`);
  return words.map((word) => decodeKey(word, origin));
}

/** @throws KeyFault */
export function readKeyFile(path: string): Buffer[] {
  return decodeKeys(readText(path), path);
}

/** Makes a key file (0600) that did not exist, durably: what is sealed with it must not outlive it. */
export function createKeyFile(path: string): Buffer {
  const key = randomBytes(32);
  writeNewSecretFile(path, `${key.toString("base64")}\n`);
  return key;
}

/** Appends a new key, durably. @returns its id @throws KeyFault */
export function addToKeyFile(path: string): string {
  const text = readText(path);
  if (decodeKeys(text, path).length >= maxKeys)
    throw new KeyFault(`${path} holds ${maxKeys} keys already: retire old ones first`);
  const key = randomBytes(32);
  const separator = text === "" || text.endsWith("\n") ? "" : "\n";
  replaceSecretFile(path, `${text}${separator}${key.toString("base64")}\n`);
  const keyId = keyIdOf(key);
  key.fill(0);
  return keyId;
}

/** Removes a key, durably; comments stay. @throws KeyFault */
export function removeFromKeyFile(path: string, keyId: string): void {
  const lines = readText(path).split("\n");
  const kept = lines.flatMap((line) => {
    const words = wordsOf(line);
    const others = words.filter((word) => keyIdOf(decodeKey(word, path)) !== keyId);
    if (others.length === words.length) return [line];
    return others.length === 0 ? [] : [others.join(" ")];
  });
  replaceSecretFile(path, kept.join("\n"));
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
  syncFolder(dirname(path));
}

/** All of the old file or all of the new one is there, whatever happens; a symbolic link stays one. */
function replaceSecretFile(path: string, text: string): void {
  try {
    const target = realpathSync(path);
    const fresh = `${target}.new`;
    rmSync(fresh, { force: true });
    writeNewSecretFile(fresh, text);
    renameSync(fresh, target);
    syncFolder(dirname(target));
  } catch (error) {
    throw new KeyFault(`the key file ${path} cannot be written: ${(error as NodeJS.ErrnoException).code}`);
  }
}

function syncFolder(folder: string): void {
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function readText(path: string): string {
  try {
    return readSecretFile(path);
  } catch (error) {
    if (error instanceof SecretFileOpen) throw new KeyFault(error.message);
    throw new KeyFault(`the encryption key ${path} cannot be read: ${(error as NodeJS.ErrnoException).code}`);
  }
}

function wordsOf(text: string): string[] {
  return text
    .replace(/#[^\n]*/g, "")
    .split(/[\s,]+/)
    .filter((word) => word !== "");
}
