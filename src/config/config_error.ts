/** Settings that cannot be used. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";

  /** @param faults one line each: the setting, what it got (never a secret's value), the limit */
  constructor(readonly faults: readonly string[]) {
    super(faults.join("\n"));
  }
}
