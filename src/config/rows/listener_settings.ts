import { listeners, listenersOrToggle } from "../kinds/address_kinds.js";
import { path, type SettingGroups, word } from "../kinds/setting_kinds.js";

/** A kind of listener, which opens where `NEXUS_<NAME>_LISTEN` says. */
export interface ListenerRow {
  readonly name: string;
  /** Whether its TCP addresses use TLS where nothing else is said and there is a certificate. */
  readonly usesTls: boolean;
  /** Whether its callers show credentials, of which a client certificate is one. A browser would ask its user for one, and a probe has none. */
  readonly isForCallers: boolean;
}

export const coreListeners = [
  { name: "grpc", usesTls: true, isForCallers: true },
  { name: "http", usesTls: true, isForCallers: true },
  { name: "browser", usesTls: true, isForCallers: false },
  { name: "ops", usesTls: true, isForCallers: false },
] as const satisfies readonly ListenerRow[];

/** The settings that name listeners. */
export function listenerSettings(rows: readonly ListenerRow[]) {
  const names = rows.map(({ name }) => name);
  const all = inWords(names);
  const forCallers = inWords(rows.filter(({ isForCallers }) => isForCallers).map(({ name }) => name));
  return {
    NEXUS_TLS_CLIENT_CA_FILE: {
      kind: path("file"),
      meaning: `PEM: CAs of client certificates at ${forCallers}. The caller is then cert:<SPIFFE ID> or cert:<subject>.`,
    },
    NEXUS_TLS_CLIENT_AUTH: {
      kind: word("word", ["none", "optional", "require"]),
      unset: "optional with NEXUS_TLS_CLIENT_CA_FILE, else none",
      meaning: "Whether these listeners request a client certificate.",
    },
    NEXUS_TLS_LISTENERS: {
      kind: listeners(names),
      default: rows
        .filter(({ usesTls }) => usesTls)
        .map(({ name }) => name)
        .join(","),
      meaning: `Listeners whose TCP addresses use TLS if there is a certificate: ${all}.`,
    },
    NEXUS_INSECURE: {
      kind: listenersOrToggle(names),
      default: "false",
      meaning:
        "Listeners that other machines may reach without TLS, because a proxy in front terminates it: the same names, comma-separated; true means all.",
    },
  } as const satisfies SettingGroups[string];
}

function inWords(names: readonly string[]): string {
  if (names.length < 3) return names.join(" and ");
  return `${names.slice(0, -1).join(", ")}, and ${names.at(-1)}`;
}
