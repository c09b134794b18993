import { ConfigError } from "./config_error.js";
import { type Flags, type SettingName, settings } from "./settings.js";

const longestShown = 200;

/**
 * Reads settings one by one and gathers the faults, so that all are reported at once. A flag wins over its variable; a
 * value is trimmed, and an empty one counts as not set unless `read` is asked to keep it.
 */
export class SettingReader {
  readonly #faults: string[] = [];

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
  fault(name: SettingName, value: string, limit: string): void {
    const shown = value.length > longestShown ? `${value.slice(0, longestShown)}...` : value;
    this.#faults.push(`${this.spell(name)}: got ${JSON.stringify(shown)}: ${limit}`);
  }

  /** Notes a fault without showing the value. */
  faultOfSecret(name: SettingName, limit: string): void {
    this.#faults.push(`${this.spell(name)}: ${limit}`);
  }

  /** Settings of which at most one may be set. */
  readOneOf<Name extends SettingName>(...names: readonly Name[]): { name: Name; value: string } | undefined {
    const values = names.flatMap((name) => {
      const value = this.read(name);
      return value === undefined ? [] : [{ name, value }];
    });
    const [first, second] = values;
    if (first && second) {
      this.faultOfSecret(first.name, `and ${this.spell(second.name)} are both set: set one of them`);
    }
    return first;
  }

  /** @throws ConfigError with every fault noted so far */
  throwFaults(): void {
    if (this.#faults.length > 0) throw new ConfigError(this.#faults);
  }
}
