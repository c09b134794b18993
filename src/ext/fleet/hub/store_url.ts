import type { StoreAddress } from "../../../config/fleet_config.js";
import { readSecretFile } from "../../../vault/secret_file.js";

/** @throws Error when the file cannot be read, or other users can read it */
export function urlOf(store: StoreAddress): string {
  return "url" in store ? store.url.reveal() : readSecretFile(store.file).trim();
}
