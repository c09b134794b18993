import { path, type SettingGroups, type SettingKind, type SettingRow, text } from "./kinds/setting_kinds.js";
import { daemonSettings } from "./rows/daemon_settings.js";
import { limitSettings } from "./rows/limit_settings.js";
import { coreListeners, type ListenerRow, listenerSettings } from "./rows/listener_settings.js";

/** The settings of the core, by group and environment variable, in the order of `--help` and of `docs/settings.md`. */
const groups = {
  ...daemonSettings,
  Limits: limitSettings,
  Commands: {
    NEXUS_ADDRESS: {
      kind: text("address"),
      unset: "unix:<data-dir>/nexus.sock",
      meaning: "The daemon's address: unix:path, http://host:port, or https://host:port.",
    },
    NEXUS_API_KEY: {
      kind: { ...text("key"), isHidden: true },
      flag: false,
      meaning: "API key for an http or https address.",
    },
    NEXUS_API_KEY_FILE: {
      kind: path("file"),
      meaning:
        "File with the API key for an http or https address. The daemon creates one: <data-dir>/admin.key.",
    },
    NEXUS_CA_FILE: {
      kind: path("file"),
      unset: "the CAs of Node",
      meaning: "PEM: the CAs to trust at an https address.",
    },
    NEXUS_CLIENT_CERT_FILE: {
      kind: path("file"),
      meaning: "PEM: client certificate for an https address, instead of an API key.",
    },
    NEXUS_CLIENT_KEY_FILE: { kind: path("file"), meaning: "PEM: private key of the client certificate." },
    NEXUS_CLIENT_SECRET: {
      kind: { ...text("secret"), isHidden: true },
      flag: false,
      meaning: "Client secret for nexusd provider add.",
    },
  },
} as const satisfies SettingGroups;

/** The settings of the commands; all others are those of the daemon. */
export const commandGroup = "Commands" satisfies keyof typeof groups;

export type CoreGroups = typeof groups;

/** The environment variable of a setting of these groups. */
export type SettingName<Groups = CoreGroups> = {
  [Group in keyof Groups]: keyof Groups[Group] & string;
}[keyof Groups];

type RowOf<Groups, Name> = {
  [Group in keyof Groups]: Name extends keyof Groups[Group] ? Groups[Group][Name] : never;
}[keyof Groups];

/** What a setting is read as; undefined stands for one that is not set and has no default. */
export type SettingValue<Groups, Name> =
  RowOf<Groups, Name> extends { kind: SettingKind<infer Value> }
    ? RowOf<Groups, Name> extends { default: string }
      ? Value
      : Value | undefined
    : never;

/** A row of the table with its place in it. */
export interface Setting extends Omit<SettingRow, "flag"> {
  readonly name: string;
  readonly group: string;
  /** The flag that wins over the variable. */
  readonly flag: string | undefined;
}

/** Values of flags, by the name of the setting that they win over. */
export type SettingFlags = Readonly<Partial<Record<string, string>>>;

export const coreSettings: readonly Setting[] = rowsOf(groups);

/** What brings settings: an extension. */
interface WithSettings {
  readonly settings?: { readonly groups: SettingGroups; readonly listener?: ListenerRow | undefined };
}

/** Every kind of listener: those of the core, then those of extensions. */
export function allListeners(extensions: readonly WithSettings[]): readonly ListenerRow[] {
  return [...coreListeners, ...extensions.flatMap(({ settings }) => settings?.listener ?? [])];
}

/** Every setting: those of the core, then those of extensions, and the commands' at the end. Those of the core know the listeners of extensions. */
export function allSettings(extensions: readonly WithSettings[]): readonly Setting[] {
  const own = extensions.flatMap(({ settings }) => (settings ? rowsOf(settings.groups) : []));
  const ofListeners: Readonly<Record<string, SettingRow>> = listenerSettings(allListeners(extensions));
  const core = coreSettings.map((setting) => ({
    ...setting,
    ...ofListeners[setting.name],
    flag: setting.flag,
  }));
  const isCommands = ({ group }: Setting) => group === commandGroup;
  return [...core.filter((setting) => !isCommands(setting)), ...own, ...core.filter(isCommands)];
}

function rowsOf(groups: SettingGroups): readonly Setting[] {
  return Object.entries(groups).flatMap(([group, rows]) =>
    Object.entries(rows).map(([name, row]) => {
      const flag = row.flag === false ? undefined : (row.flag ?? flagOf(name));
      return { ...row, name, group, flag };
    }),
  );
}

/** The default in words. */
export function defaultOf({ default: fallback, unset = "none" }: Setting): string {
  return fallback || unset;
}

/** The flag with its argument, as `--data-dir <folder>`; undefined where there is none. */
export function flagText({ flag, kind }: Setting): string | undefined {
  if (flag === undefined) return undefined;
  return kind.argument.startsWith("[") ? `${flag} ${kind.argument}` : `${flag} <${kind.argument}>`;
}

/** The meaning, and what is accepted. */
export function meaningOf({ meaning, kind }: Setting): string {
  return kind.range === undefined ? meaning : `${meaning} Accepted: ${kind.range}.`;
}

/** `--data-dir` for `NEXUS_DATA_DIR`. */
function flagOf(name: string): string {
  return `--${name.slice("NEXUS_".length).toLowerCase().replaceAll("_", "-")}`;
}
