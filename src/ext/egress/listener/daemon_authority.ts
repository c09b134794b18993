import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { StartRefused } from "../../../core/registry.js";
import { SealedRecordSchema } from "../../../gen/nexus/store/v1/records_pb.js";
import type { Changes, Clock, Log } from "../../../runtime/runtime.js";
import { Authority } from "../../../server/kit.js";
import { fromSealedMessage, toSealedMessage } from "../../../store/store.js";
import type { Vault } from "../../../vault/vault.js";

/** Callers keep the certificate in their images and secrets. */
const authorityDays = 3_650;

export interface DaemonAuthorityOptions {
  readonly dataDir: string;
  readonly files: { readonly certFile: string; readonly keyFile: string } | undefined;
  readonly vault: Vault;
  readonly databaseId: string;
  readonly changes: Changes;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The authority of this daemon: of the files that the settings name, or its own, made on first start. Its key is sealed with the primary key
 * of the store, again when that changes. No backup holds it: one that does not open is put aside, and another is made.
 *
 * @throws StartRefused when the files of the settings, or the data folder, cannot be used
 */
export async function daemonAuthority(options: DaemonAuthorityOptions): Promise<Authority> {
  const { dataDir, files, clock } = options;
  const what = files ? "NEXUS_EGRESS_CA_CERT_FILE and NEXUS_EGRESS_CA_KEY_FILE" : dataDir;
  try {
    if (!files) return await ownAuthority(options);
    return await Authority.of(
      readFileSync(files.certFile, "utf8"),
      readFileSync(files.keyFile, "utf8"),
      clock,
    );
  } catch (error) {
    const { message } = error as Error;
    throw new StartRefused(`the authority of the egress listener (${what}) cannot be used: ${message}`);
  }
}

async function ownAuthority(options: DaemonAuthorityOptions): Promise<Authority> {
  const { dataDir, vault, databaseId, changes, clock, log } = options;
  const cert = join(dataDir, "egress-ca.pem");
  const sealed = join(dataDir, "egress-ca.key");
  const place = { databaseId, kind: "egress_ca", providerId: "", connectionId: "", revision: 1n } as const;
  const open = async (): Promise<Authority> => {
    const key = vault.open(fromSealedMessage(fromBinary(SealedRecordSchema, readFileSync(sealed))), place);
    return await Authority.of(readFileSync(cert, "utf8"), key.toString("utf8"), clock);
  };
  const found = existsSync(sealed) ? await open().catch(unusable) : undefined;
  if (found instanceof Error) {
    log.warn(
      { err: found, file: cert },
      "the authority of the egress listener does not open, and another was made: callers must trust its certificate",
    );
    for (const path of [cert, sealed]) if (existsSync(path)) renameSync(path, `${path}.old`);
  }
  const authority =
    found instanceof Authority
      ? found
      : await Authority.create(undefined, clock, { name: "nexusd egress authority", days: authorityDays });
  const key = Buffer.from(await authority.exportKey());
  const seal = (): void =>
    replace(sealed, toBinary(SealedRecordSchema, toSealedMessage(vault.seal(key, place))), 0o600);
  seal();
  replace(cert, authority.pem, 0o644);
  changes.on("ring", () => {
    try {
      seal();
    } catch (error) {
      log.error({ err: error, file: sealed }, "the key of the egress authority could not be sealed again");
    }
  });
  return authority;
}

/** @throws what the file system says, but for a file that is not there: nothing is known of the content then */
function unusable(error: NodeJS.ErrnoException): Error {
  if (error.syscall !== undefined && error.code !== "ENOENT") throw error;
  return error;
}

/** Whole or not at all. */
function replace(path: string, content: string | Uint8Array, mode: number): void {
  writeFileSync(`${path}.new`, content, { mode });
  renameSync(`${path}.new`, path);
}
