import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import type { SealedRecord } from "../../model/credentials/credentials.js";

/**
 * A backup is a block of text, filled up with spaces to 4096 bytes, and the bytes of a store's file behind it. The text has two lines: a
 * name with the version of this form, and JSON. The JSON has a manifest, and the manifest again under the primary key of the store, so that
 * nobody without that key can make or alter a backup.
 */
export const backupHeaderBytes = 4096;
const formName = "nexusd backup 1";
/** A ring has few keys; the ids are short. */
const maxTextBytes = backupHeaderBytes - 1;
/** Bytes of a file that are read at a time. */
const readBytes = 256 * 1024;

/** What a backup says of itself. */
export interface BackupManifest {
  readonly databaseId: string;
  readonly createdAtMs: number;
  /** Of the store's file, the header not counted. */
  readonly bytes: number;
  /** Of the store's file, in hexadecimal. */
  readonly sha256: string;
  /** Keys that its records need. */
  readonly keyIds: readonly string[];
  readonly providers: number;
  readonly connections: number;
  readonly verifiedRecords: number;
  readonly unreadableRecords: number;
}

export interface BackupHeader {
  readonly manifest: BackupManifest;
  /** The manifest, as `manifestText` writes it. */
  readonly seal: SealedRecord;
}

/** The file is no backup, or not as it was written. */
export class BackupDamaged extends Error {
  override readonly name = "BackupDamaged";
}

export function manifestText(manifest: BackupManifest): string {
  return JSON.stringify(manifest);
}

/** @throws RangeError when it does not fit: an error of this program */
export function encodeBackupHeader({ manifest, seal }: BackupHeader): Buffer {
  const sealText = {
    keyId: seal.keyId,
    layout: seal.layout,
    nonce: Buffer.from(seal.nonce).toString("base64"),
    ciphertext: Buffer.from(seal.ciphertext).toString("base64"),
  };
  const text = Buffer.from(`${formName}\n${JSON.stringify({ manifest, seal: sealText })}\n`);
  if (text.length > maxTextBytes) throw new RangeError("the header of a backup is too long");
  const header = Buffer.alloc(backupHeaderBytes, " ");
  text.copy(header);
  header[backupHeaderBytes - 1] = 0x0a;
  return header;
}

/** Checks the form alone; the seal shows whether it is true. @throws BackupDamaged */
export function decodeBackupHeader(bytes: Buffer): BackupHeader {
  const [name, json = ""] = bytes.subarray(0, backupHeaderBytes).toString("utf8").split("\n");
  if (bytes.length < backupHeaderBytes || !name?.startsWith("nexusd backup "))
    throw new BackupDamaged("is not a backup of nexusd");
  if (name !== formName)
    throw new BackupDamaged(`has the form "${name.slice(0, 40)}", this nexusd reads "${formName}"`);
  try {
    const { manifest, seal } = JSON.parse(json) as {
      manifest: BackupManifest;
      seal: { keyId: string; layout: number; nonce: string; ciphertext: string };
    };
    if (!Number.isSafeInteger(manifest.bytes) || !/^[0-9a-f]{64}$/.test(manifest.sha256))
      throw new RangeError();
    const nonce = Buffer.from(seal.nonce, "base64");
    const ciphertext = Buffer.from(seal.ciphertext, "base64");
    return { manifest, seal: { keyId: seal.keyId, layout: seal.layout, nonce, ciphertext } };
  } catch {
    throw new BackupDamaged("has a damaged header");
  }
}

/** The bytes of a file, in parts. */
export async function* fileChunks(path: string, start = 0): AsyncGenerator<Buffer> {
  for await (const chunk of createReadStream(path, { start, highWaterMark: readBytes }))
    yield chunk as Buffer;
}

/** SHA-256 in hexadecimal, and the length. @param before bytes that stand before the file */
export async function digestFile(
  path: string,
  before: Uint8Array = Buffer.alloc(0),
): Promise<{ readonly sha256: string; readonly bytes: number }> {
  const hash = createHash("sha256").update(before);
  let bytes = before.length;
  for await (const chunk of fileChunks(path)) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { sha256: hash.digest("hex"), bytes };
}
