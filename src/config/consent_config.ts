import type { SettingReader } from "./setting_reader.js";

/** How consents are to be completed. */
export interface ConsentConfig {
  /** Every consent waits for `ConfirmConnection`, whatever its request says. */
  readonly requireConfirmation: boolean;
}

/** Errors are noted in `reader`. */
export function readConsent(reader: SettingReader): ConsentConfig {
  const text = reader.read("NEXUS_REQUIRE_CONFIRMATION") ?? "false";
  const word = text.toLowerCase();
  if (word !== "true" && word !== "false") {
    reader.violation("NEXUS_REQUIRE_CONFIRMATION", text, "must be true or false");
  }
  return Object.freeze({ requireConfirmation: word === "true" });
}
