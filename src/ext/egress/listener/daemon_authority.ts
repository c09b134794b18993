import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { StartRefused } from "../../../daemon/extension.js";
import type { SealedRecord } from "../../../model/credentials/credential.js";
import type { Clock } from "../../../runtime/clock.js";
import type { Vault } from "../../../vault/vault.js";
import { Authority } from "../proxy/authority.js";

/** In the data folder: what callers must trust. */
export const authorityFileName = "egress-ca.pem";
const keyFileName = "egress-ca.key";
/** Callers keep the certificate in their images and secrets. */
const authorityDays = 3_650;

export interface DaemonAuthorityOptions {
  readonly dataDir: string;
  readonly files: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly vault: Vault;
  readonly databaseId: string;
  readonly clock: Clock;
}

/**
 * The authority of this daemon: of the files that the settings name, or its own, made on first start. Its key is sealed with the key of the
 * store, again when that was rotated.
 *
 * @throws StartRefused when it cannot be read
 */
export async function daemonAuthority(options: DaemonAuthorityOptions): Promise<Authority> {
  const { dataDir, files, clock } = options;
  try {
    if (files) return await Authority.of(readText(files.certFile), readText(files.keyFile), clock);
    const paths = { cert: join(dataDir, authorityFileName), key: join(dataDir, keyFileName) };
    return existsSync(paths.key) ? await opened(paths, options) : await made(paths, options);
  } catch (error) {
    const { message } = error as Error;
    const what = files
      ? "NEXUS_EGRESS_CA_CERT_FILE and NEXUS_EGRESS_CA_KEY_FILE"
      : join(dataDir, keyFileName);
    const remedy = files
      ? ""
      : "; for a new authority, remove both files; callers must then trust the new one";
    throw new StartRefused(
      `the authority of the egress listener (${what}) cannot be used: ${message}${remedy}`,
    );
  }
}

interface Paths {
  readonly cert: string;
  readonly key: string;
}

async function made(paths: Paths, options: DaemonAuthorityOptions): Promise<Authority> {
  const { clock } = options;
  const authority = await Authority.create(undefined, clock, {
    name: "nexusd egress authority",
    days: authorityDays,
  });
  writeKey(paths.key, await authority.exportKey(), options);
  replace(paths.cert, authority.pem, 0o644);
  return authority;
}

async function opened(paths: Paths, options: DaemonAuthorityOptions): Promise<Authority> {
  const { vault, databaseId, clock } = options;
  const sealed = JSON.parse(readText(paths.key)) as Record<keyof SealedRecord, string>;
  const record = {
    keyId: sealed.keyId,
    layout: Number(sealed.layout),
    nonce: Buffer.from(sealed.nonce, "base64"),
    ciphertext: Buffer.from(sealed.ciphertext, "base64"),
  };
  const key = vault.open(record, placeOf(databaseId)).toString("utf8");
  if (!vault.isCurrent(record)) writeKey(paths.key, key, options);
  return await Authority.of(readText(paths.cert), key, clock);
}

function writeKey(path: string, pem: string, { vault, databaseId }: DaemonAuthorityOptions): void {
  const { nonce, ciphertext, ...rest } = vault.seal(Buffer.from(pem), placeOf(databaseId));
  const text = { ...rest, nonce: base64(nonce), ciphertext: base64(ciphertext) };
  replace(path, `${JSON.stringify(text)}\n`, 0o600);
}

function placeOf(databaseId: string) {
  return { databaseId, kind: "egress_ca", providerId: "", connectionId: "", revision: 1n } as const;
}

/** Whole or not at all. */
function replace(path: string, text: string, mode: number): void {
  writeFileSync(`${path}.new`, text, { mode });
  renameSync(`${path}.new`, path);
}

function readText(path: string): string {
  return readFileSync(path, "utf8");
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}
