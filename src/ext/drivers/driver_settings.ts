import { ExtensionSettings, type SettingReader } from "../../config/config.js";
import { metadataGroups, readMetadata } from "./metadata_settings.js";
import { readSubstrate, substrateGroups } from "./substrate_settings.js";

const groups = { ...metadataGroups, ...substrateGroups };

/** Those of each front. */
export const driverSettings = new ExtensionSettings(groups, readDrivers, {
  listener: { name: "metadata", usesTls: true, isForCallers: true },
});

function readDrivers(reader: SettingReader) {
  return Object.freeze({ metadata: readMetadata(reader), substrate: readSubstrate(reader) });
}
