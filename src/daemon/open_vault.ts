import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config/config.js";
import { withoutVariablesOf } from "../document/named_variables.js";
import type { Clock } from "../runtime/clock.js";
import type { Log } from "../runtime/log.js";
import { storeFileName } from "../store/store.js";
import { KeyRingSource } from "../vault/key_source.js";
import { closeSecretFile } from "../vault/secret_file.js";
import { Vault } from "../vault/vault.js";

export interface OpenedVault {
  readonly vault: Vault;
  readonly source: KeyRingSource;
}

/** The vault with the keys that the settings name, of which the first start makes the first. @throws KeyError */
export async function openVault(options: {
  readonly config: Config;
  readonly environment: NodeJS.ProcessEnv;
  readonly clock: Clock;
  readonly log: Log;
  /** Says that a key was made. */
  readonly announce: (path: string, message: string) => void;
}): Promise<OpenedVault> {
  const { config, clock, log } = options;
  const environment = withoutVariablesOf(config.providersFile, options.environment);
  // The store of a fleet exists, be there a copy of it yet or not: its keys are given to each hub.
  const storeExists = config.store === "shared" || existsSync(join(config.dataDir, storeFileName));
  const source = new KeyRingSource({ source: config.encryptionKey, environment, clock });
  if (source.path !== undefined) closeKeyFile(source.path, config.dataDir, log);
  const { keys, created } = await source.load(storeExists);
  if (created && source.path !== undefined)
    options.announce(
      source.path,
      "created an encryption key. Anyone who has this file can read the stored credentials, and without it they are lost: back it up apart from the store",
    );
  const vault = new Vault(keys);
  for (const key of keys) key.fill(0);
  return { vault, source };
}

/** Closes a key file of the data folder to other users, and reports it; one outside of the data folder is refused when it is read. */
export function closeKeyFile(path: string, dataDir: string, log: Log): void {
  const mode = closeSecretFile(path, dataDir);
  if (mode === undefined) return;
  log.warn(
    { path, mode },
    "a key file in the data folder was open to other users and is now 0600; replace the key if anybody may have read it",
  );
}
