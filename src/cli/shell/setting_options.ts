import { Option } from "commander";
import { type Flags, flagText, meaningOf, type SettingName, settingOf } from "../../config/settings.js";

/** What commander makes of the flags of a command, by the name of each. */
export type GivenOptions = Readonly<Record<string, unknown>>;

/** The flags of some settings. */
export class SettingOptions {
  readonly #options: readonly { readonly name: SettingName; readonly option: Option }[];

  constructor(names: readonly SettingName[]) {
    this.#options = names.flatMap((name) => {
      const setting = settingOf(name);
      const text = flagText(setting);
      return text === undefined
        ? []
        : [{ name, option: new Option(text, `${meaningOf(setting)} (${name})`) }];
    });
  }

  get options(): readonly Option[] {
    return this.#options.map(({ option }) => option);
  }

  /** What was given, by the setting that it wins over. */
  flagsOf(given: GivenOptions): Flags {
    const values = this.#options.flatMap(({ name, option }) => {
      const value = given[option.attributeName()];
      return value === undefined ? [] : [[name, String(value)]];
    });
    return Object.fromEntries(values);
  }
}
