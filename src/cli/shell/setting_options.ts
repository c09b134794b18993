import { Option } from "commander";
import { coreSettings, flagText, meaningOf, type SettingFlags } from "../../config/settings.js";

/** What commander makes of the flags of a command, by the name of each. */
export type GivenOptions = Readonly<Record<string, unknown>>;

/** The flags of some settings. */
export class SettingOptions {
  readonly #options: readonly { readonly name: string; readonly option: Option }[];

  /** @param names of settings in `table` */
  constructor(names: readonly string[], table = coreSettings) {
    this.#options = names.flatMap((name) => {
      const setting = table.find((each) => each.name === name);
      const text = setting && flagText(setting);
      if (setting === undefined || text === undefined) return [];
      return [{ name, option: new Option(text, `${meaningOf(setting)} (${name})`) }];
    });
  }

  get options(): readonly Option[] {
    return this.#options.map(({ option }) => option);
  }

  /** What was given, by the setting that it wins over. */
  flagsOf(given: GivenOptions): SettingFlags {
    const values = this.#options.flatMap(({ name, option }) => {
      const value = given[option.attributeName()];
      return value === undefined ? [] : [[name, String(value)]];
    });
    return Object.fromEntries(values);
  }
}
