import {
  type CoreGroups,
  coreSettings,
  type Setting,
  type SettingFlags,
  type SettingName,
  type SettingValue,
} from "./settings.js";

/** Settings that cannot be used. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";

  /** @param violations one line each: the setting, what it got (never a secret's value), the limit */
  constructor(readonly violations: readonly string[]) {
    super(violations.join("\n"));
  }
}

const maxExcerpt = 200;

/**
 * Reads settings by their rows in the table and gathers the errors, so that all are reported at once. A flag wins over its
 * variable; a value is trimmed, and an empty one counts as not set unless its kind accepts it.
 */
export class SettingReader {
  readonly #values = new Map<string, unknown>();
  readonly #violations: { readonly name: string; readonly line: string }[] = [];
  readonly #table: ReadonlyMap<string, Setting>;

  constructor(
    private readonly env: NodeJS.ProcessEnv,
    private readonly flags: SettingFlags,
    table = coreSettings,
  ) {
    this.#table = new Map(table.map((setting) => [setting.name, setting]));
  }

  /** The value, or the default of the table. One that cannot be used is noted, and its default stands in for it. */
  get<Name extends SettingName>(name: Name): SettingValue<CoreGroups, Name> {
    return this.of<CoreGroups>()(name);
  }

  /** As `get`, for the settings of an extension. One that is not in the table counts as not set. */
  of<Groups>() {
    return <Name extends SettingName<Groups>>(name: Name): SettingValue<Groups, Name> => {
      if (!this.#values.has(name)) this.#values.set(name, this.#parse(name));
      return this.#values.get(name) as SettingValue<Groups, Name>;
    };
  }

  isSet(name: string): boolean {
    return this.#text(name) !== undefined;
  }

  /** How the person wrote the setting: the flag when it was given, else the variable. */
  spell(name: string): string {
    return this.flags[name] === undefined ? name : (this.#table.get(name)?.flag ?? name);
  }

  /** Notes that the setting breaks `limit`; `excerpt` is what it got. It is left out where it may hold a secret. */
  refuse(name: string, limit: string, excerpt?: string): void {
    // What stands before an @ may be a password.
    const isSecret =
      excerpt === undefined || excerpt.includes("@") || this.#table.get(name)?.kind.isHidden === true;
    const text =
      excerpt !== undefined && excerpt.length > maxExcerpt ? `${excerpt.slice(0, maxExcerpt)}...` : excerpt;
    const got = isSecret ? "" : `got ${JSON.stringify(text)}: `;
    this.#violations.push({ name, line: `${this.spell(name)}: ${got}${limit}` });
  }

  /** Which of these settings is set. That two are set is noted. */
  oneOf<Name extends string>(...names: readonly Name[]): Name | undefined {
    const [first, second] = names.filter((name) => this.isSet(name));
    if (first && second) this.refuse(first, `and ${this.spell(second)} are both set: set one of them`);
    return first;
  }

  /** Notes that `missing` is needed, when one of `beside` is set. */
  needs(missing: string, beside: readonly string[]): void {
    const given = beside.find((name) => this.isSet(name));
    if (given) this.refuse(missing, `is needed beside ${this.spell(given)}`);
  }

  /** @throws ConfigError with every error noted so far, in the order of the table */
  throwViolations(): void {
    if (this.#violations.length === 0) return;
    const order = [...this.#table.keys()];
    const sorted = this.#violations.toSorted(
      (one, other) => order.indexOf(one.name) - order.indexOf(other.name),
    );
    throw new ConfigError(sorted.map(({ line }) => line));
  }

  #text(name: string): string | undefined {
    // Programs read the variables that are not nexusd's own in either case.
    const given = name.startsWith("NEXUS_") ? this.env[name] : this.env[name] || this.env[name.toLowerCase()];
    const text = (this.flags[name] ?? given)?.trim();
    return text === "" && this.#table.get(name)?.kind.acceptsEmpty !== true ? undefined : text;
  }

  #parse(name: string): unknown {
    const setting = this.#table.get(name);
    if (setting === undefined) return undefined;
    const { kind, default: always, atPortBase } = setting;
    const text = this.#text(name);
    const portBase = atPortBase && this.get("NEXUS_PORT_BASE");
    const fallback = portBase === undefined ? always : atPortBase?.(portBase);
    const value =
      text === undefined
        ? undefined
        : kind.parse(text, (limit, excerpt = text) => this.refuse(name, limit, excerpt));
    return value ?? (fallback === undefined ? undefined : kind.parse(fallback, () => {}));
  }
}
