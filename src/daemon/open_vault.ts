import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config/config.js";
import { withoutVariablesOf } from "../document/named_variables.js";
import type { Clock } from "../runtime/clock.js";
import type { Log } from "../runtime/log.js";
import { storeFileName } from "../store/store.js";
import { KeyRingSource } from "../vault/key_source.js";
import { closeSecretFile, openModeOf } from "../vault/secret_file.js";
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

/** Closes a key file of the data folder to other users, and reports it; one that lies elsewhere is refused when it is read. */
export function closeKeyFile(path: string, dataDir: string, log: Log): void {
  const mode = closeSecretFile(path, dataDir);
  if (mode === undefined) return;
  log.warn(
    { path, mode },
    "a key file in the data folder was open to other users and is now 0600; replace the key if anybody may have read it",
  );
}

/**
 * Says which file with a secret every user of the machine can read: a key of a client, or the secrets of a webhook. They are somebody else's to
 * exchange while the daemon runs, and Kubernetes mounts secrets with 0644 where nothing else is stated, so they are taken anyway.
 *
 * @param name of it where it is named
 */
export function tellOfOpenSecret(setting: string, name: string, path: string, log: Log): void {
  const mode = modeOf(path);
  if (mode !== undefined)
    log.warn(
      { setting, name, mode },
      "a file with a secret is open to other users: set the mode 0600, or 0440 with the group of the daemon. Replace the secret if someone may have read it",
    );
}

function modeOf(path: string): string | undefined {
  try {
    return openModeOf(path);
  } catch {
    // A file that cannot be inspected is reported when it is read.
    return undefined;
  }
}
