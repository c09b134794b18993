import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "../config/config.js";
import { storeFileName } from "../store/store.js";
import type { Logger } from "../telemetry/logger.js";
import { loadKey } from "../vault/key_source.js";
import { Vault } from "../vault/vault.js";

/** The vault with the key that the settings name, which the first start makes. @throws KeyFault */
export function openVault(config: Config, log: Logger): Vault {
  const storeExists = existsSync(join(config.dataDir, storeFileName));
  const { key, created } = loadKey(config.encryptionKey, storeExists);
  if (created && config.encryptionKey.source === "generated") {
    log.info(
      { path: config.encryptionKey.path },
      "made an encryption key: without this file nobody can open the stored credentials, with it anybody can; back it up apart from the store",
    );
  }
  const vault = new Vault(key);
  key.fill(0);
  return vault;
}
