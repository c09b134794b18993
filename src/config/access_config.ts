import { resolve } from "node:path";
import type { SettingReader } from "./setting_reader.js";

/** Who may do what. */
export interface AccessConfig {
  /** Absolute; undefined when there is none. */
  readonly policyFile: string | undefined;
}

/** No file is touched. */
export function readAccess(reader: SettingReader): AccessConfig {
  const policyFile = reader.read("NEXUS_POLICY_FILE");
  return Object.freeze({ policyFile: policyFile === undefined ? undefined : resolve(policyFile) });
}
