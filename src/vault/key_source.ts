import { existsSync } from "node:fs";
import type { Secret } from "../runtime/secret.js";
import { createKeyFile, decodeKey, KeyFault, readKeyFile } from "./key_file.js";

/** Where the key that seals the store comes from. */
export type KeySource =
  | { readonly source: "environment"; readonly key: Secret }
  | { readonly source: "file"; readonly path: string }
  /** Made on first start. */
  | { readonly source: "generated"; readonly path: string };

/**
 * Reads the key, or makes it when it is to be made and nothing was ever sealed with another.
 *
 * @param storeExists a store without its key file must not get a new key: nothing in it could be opened
 * @throws KeyFault
 */
export function loadKey(
  source: KeySource,
  storeExists: boolean,
): { readonly key: Buffer; readonly created: boolean } {
  switch (source.source) {
    case "environment":
      return { key: decodeKey(source.key.reveal(), "NEXUS_ENCRYPTION_KEY"), created: false };
    case "file":
      return { key: readKeyFile(source.path), created: false };
    case "generated":
      if (existsSync(source.path)) return { key: readKeyFile(source.path), created: false };
      if (storeExists) {
        throw new KeyFault(
          `the store exists but its encryption key ${source.path} is missing: put it back, or name it by NEXUS_ENCRYPTION_KEY_FILE`,
        );
      }
      return { key: createKeyFile(source.path), created: true };
  }
}
