import { ConfigError } from "../../src/config/setting_reader.js";

/** What settings are refused for; nothing, when they are taken. */
export function violationsIn(load: () => unknown): readonly string[] {
  try {
    load();
  } catch (error) {
    if (error instanceof ConfigError) return error.violations;
    throw error;
  }
  return [];
}
