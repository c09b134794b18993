/** Settings that cannot be used. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";

  /** @param errors one line each: the setting, what it got (never a secret's value), the limit */
  constructor(readonly violations: readonly string[]) {
    super(violations.join("\n"));
  }
}
