import { resolve } from "node:path";
import type { SettingReader } from "./setting_reader.js";

/** Who may do what. */
export interface AccessConfig {
  /** Absolute; undefined when there is none. */
  readonly policyFile: string | undefined;
  /** The admin's API key; absolute. Undefined when it is `<dataDir>/admin.key`, which the first start makes. */
  readonly adminKeyFile: string | undefined;
}

/** No file is touched. */
export function readAccess(reader: SettingReader): AccessConfig {
  const policyFile = reader.read("NEXUS_POLICY_FILE");
  const adminKeyFile = reader.read("NEXUS_ADMIN_KEY_FILE");
  return Object.freeze({
    policyFile: policyFile === undefined ? undefined : resolve(policyFile),
    adminKeyFile: adminKeyFile === undefined ? undefined : resolve(adminKeyFile),
  });
}
