import type { SettingReader } from "./setting_reader.js";

/** What proxies are given. */
export interface ProxyConfig {
  /** What the names of secrets begin with, without the slash after it. */
  readonly secretPrefix: string;
}

/** Errors are noted in `reader`. */
export function readProxy(reader: SettingReader): ProxyConfig {
  const secretPrefix = reader.read("NEXUS_SDS_PREFIX") ?? "nexus";
  if (!/^[A-Za-z0-9._-]{1,64}(\/[A-Za-z0-9._-]{1,64}){0,3}$/.test(secretPrefix)) {
    reader.violation(
      "NEXUS_SDS_PREFIX",
      secretPrefix,
      "must be letters, digits, dots, underscores and hyphens, in up to four parts with slashes between them",
    );
  }
  return Object.freeze({ secretPrefix });
}
