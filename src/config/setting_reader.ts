import { ConfigError } from "./config_error.js";
import { type Flags, type SettingName, settings } from "./settings.js";

const longestPresented = 200;

/**
 * Reads settings one by one and gathers the errors, so that all are reported at once. A flag wins over its variable; a
 * value is trimmed, and an empty one counts as not set unless `read` is asked to keep it.
 */
export class SettingReader {
  readonly #violations: string[] = [];

  constructor(
    private readonly env: NodeJS.ProcessEnv,
    private readonly flags: Flags,
  ) {}

  /** The trimmed value; undefined when it is not set. */
  read(name: SettingName, options: { keepEmpty: boolean } = { keepEmpty: false }): string | undefined {
    const value = (this.flags[name] ?? this.env[name])?.trim();
    return value === "" && !options.keepEmpty ? undefined : value;
  }

  /** How the person wrote the setting: the flag when it was given, else the variable. */
  spell(name: SettingName): string {
    const flag = settings.find((setting) => setting.name === name)?.flag;
    return this.flags[name] === undefined || flag === undefined ? name : flag;
  }

  /** Notes that `name` got `value` against the limit that `limit` states. */
  violation(name: SettingName, value: string, limit: string): void {
    const shown = value.length > longestPresented ? `${value.slice(0, longestPresented)}...` : value;
    this.#violations.push(`${this.spell(name)}: got ${JSON.stringify(shown)}: ${limit}`);
  }

  /** Notes an error without showing the value. */
  violationOfSecret(name: SettingName, limit: string): void {
    this.#violations.push(`${this.spell(name)}: ${limit}`);
  }

  /** Settings of which at most one may be set. */
  readOneOf<Name extends SettingName>(...names: readonly Name[]): { name: Name; value: string } | undefined {
    const values = names.flatMap((name) => {
      const value = this.read(name);
      return value === undefined ? [] : [{ name, value }];
    });
    const [first, second] = values;
    if (first && second) {
      this.violationOfSecret(first.name, `and ${this.spell(second.name)} are both set: set one of them`);
    }
    return first;
  }

  /** @throws ConfigError with every error noted so far */
  throwViolations(): void {
    if (this.#violations.length > 0) throw new ConfigError(this.#violations);
  }
}
