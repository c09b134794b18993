import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { TlsError, type TlsMaterial } from "./tls_pair.js";

/** Where certificate, key and the CA of client certificates stand; absolute paths. */
export interface TlsPaths {
  readonly certFile: string;
  readonly keyFile: string;
  readonly clientCaFile: string | undefined;
}

/** Larger than any chain or set of CAs in use, which the whole of a system's own with 250 KiB is not far from. */
const maxFileBytes = 1024 * 1024;

/**
 * What distinguishes one state of the files from another without reading them. Links are followed, so that turning the `..data` link of a
 * ConfigMap or Secret shows as another inode.
 */
export async function stampOf(paths: TlsPaths): Promise<string> {
  const stamps = list(paths).map(async (path) => {
    const found = await stat(path).catch(() => undefined);
    return found === undefined
      ? "none"
      : `${found.dev}:${found.ino}:${found.size}:${found.mtimeMs}:${found.ctimeMs}`;
  });
  return (await Promise.all(stamps)).join(" ");
}

/** @throws TlsError */
export async function readMaterial(paths: TlsPaths): Promise<TlsMaterial> {
  const [certificate, key, clientCa] = await Promise.all([
    read(paths.certFile),
    read(paths.keyFile),
    paths.clientCaFile === undefined ? undefined : read(paths.clientCaFile),
  ]);
  return { certificate, key, clientCa };
}

/** Whether two readings are the same. */
export function digestOf({ certificate, key, clientCa }: TlsMaterial): string {
  const digest = createHash("sha256");
  for (const part of [certificate, key, clientCa ?? Buffer.alloc(0)])
    digest.update(`${part.length}:`).update(part);
  return digest.digest("base64");
}

function list({ certFile, keyFile, clientCaFile }: TlsPaths): string[] {
  return [certFile, keyFile, ...(clientCaFile === undefined ? [] : [clientCaFile])];
}

async function read(path: string): Promise<Buffer> {
  const { size } = await attempt(path, stat(path));
  if (size > maxFileBytes)
    throw new TlsError(`${path} has ${size} bytes, and ${maxFileBytes} are read at most`);
  return await attempt(path, readFile(path));
}

async function attempt<T>(path: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw new TlsError(`${path} cannot be read (${(error as NodeJS.ErrnoException).code ?? "unknown"})`);
  }
}
