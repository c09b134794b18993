import { resolve } from "node:path";
import { formatListenAddress, isLocalAddress, type ListenAddress } from "../model/listen_address.js";
import type { SettingReader } from "./setting_reader.js";
import type { SettingName } from "./settings.js";

export const listenerNames = ["grpc", "http", "browser", "ops"] as const;
export type ListenerName = (typeof listenerNames)[number];

export const clientAuths = ["none", "optional", "require"] as const;

/** How the listeners are kept, beyond their addresses. */
export interface ListenersConfig {
  /** Absent when every listener speaks plain text. */
  readonly tls: TlsConfig | undefined;
  /** Mode of the file of every Unix socket. With any but 0600 a caller is the user at the other end. */
  readonly socketMode: number;
}

export interface TlsConfig {
  /** Absolute, as the other two. */
  readonly certFile: string;
  readonly keyFile: string;
  readonly clientCaFile: string | undefined;
  /** What the grpc and the http listener ask of a client. */
  readonly clientAuth: (typeof clientAuths)[number];
  /** Whose TCP addresses speak TLS. */
  readonly listeners: readonly ListenerName[];
}

/** The addresses of the listeners, by the setting that names them. */
export type ListenerAddresses = Readonly<
  Record<`NEXUS_${Uppercase<ListenerName>}_LISTEN`, readonly ListenAddress[]>
>;

/** Errors are noted in `reader`: among them every TCP address that unauthenticated callers could reach in plain text. */
export function readListenersConfig(reader: SettingReader, addresses: ListenerAddresses): ListenersConfig {
  const tls = readTls(reader);
  const insecure = readInsecure(reader);
  for (const listener of listenerNames) {
    if (tls?.listeners.includes(listener) || insecure.includes(listener)) continue;
    refusePlain(reader, listener, addresses[settingOf(listener)], tls);
  }
  return Object.freeze({ tls, socketMode: readSocketMode(reader) });
}

/** The TLS of the listeners; undefined without a certificate. Errors are noted in `reader`. */
export function readTls(reader: SettingReader): TlsConfig | undefined {
  const certFile = reader.read("NEXUS_TLS_CERT_FILE");
  const keyFile = reader.read("NEXUS_TLS_KEY_FILE");
  const clientCaFile = reader.read("NEXUS_TLS_CLIENT_CA_FILE");
  const clientAuth = readClientAuth(reader, clientCaFile);
  const listeners = readListeners(reader, "NEXUS_TLS_LISTENERS") ?? listenerNames;
  if (certFile === undefined || keyFile === undefined) {
    const missing = certFile === undefined ? "NEXUS_TLS_CERT_FILE" : "NEXUS_TLS_KEY_FILE";
    const needy = (["NEXUS_TLS_CERT_FILE", "NEXUS_TLS_KEY_FILE", "NEXUS_TLS_CLIENT_CA_FILE"] as const).find(
      (name) => reader.read(name) !== undefined,
    );
    if (needy !== undefined) reader.violationOfSecret(missing, `is needed beside ${reader.spell(needy)}`);
    return undefined;
  }
  return Object.freeze({
    certFile: resolve(certFile),
    keyFile: resolve(keyFile),
    clientCaFile: clientCaFile === undefined ? undefined : resolve(clientCaFile),
    clientAuth,
    listeners: Object.freeze([...listeners]),
  });
}

function readClientAuth(reader: SettingReader, clientCaFile: string | undefined): TlsConfig["clientAuth"] {
  const text = reader.read("NEXUS_TLS_CLIENT_AUTH")?.toLowerCase();
  if (text === undefined) return clientCaFile === undefined ? "none" : "optional";
  const word = clientAuths.find((candidate) => candidate === text);
  if (word === undefined) {
    reader.violation("NEXUS_TLS_CLIENT_AUTH", text, `must be one of ${clientAuths.join(", ")}`);
  } else if (word !== "none" && clientCaFile === undefined) {
    const caFile = reader.spell("NEXUS_TLS_CLIENT_CA_FILE");
    reader.violation("NEXUS_TLS_CLIENT_AUTH", text, `needs ${caFile}: which certificates are to be trusted?`);
  }
  return word ?? "none";
}

/** The listeners that may speak plain text to unauthenticated callers. */
function readInsecure(reader: SettingReader): readonly ListenerName[] {
  const text = reader.read("NEXUS_INSECURE")?.toLowerCase();
  if (text === undefined || text === "false") return [];
  if (text === "true") return listenerNames;
  return readListeners(reader, "NEXUS_INSECURE", "true, false or ") ?? [];
}

function readListeners(
  reader: SettingReader,
  name: "NEXUS_TLS_LISTENERS" | "NEXUS_INSECURE",
  others = "",
): readonly ListenerName[] | undefined {
  const text = reader.read(name);
  if (text === undefined) return undefined;
  const words = text
    .toLowerCase()
    .split(",")
    .map((piece) => piece.trim());
  const listeners = listenerNames.filter((listener) => words.includes(listener));
  const unknown = words.find((word) => !listenerNames.some((listener) => listener === word));
  if (unknown !== undefined) {
    reader.violation(name, text, `must be ${others}a comma list of ${listenerNames.join(", ")}`);
  }
  return listeners;
}

function refusePlain(
  reader: SettingReader,
  listener: ListenerName,
  addresses: readonly ListenAddress[],
  tls: TlsConfig | undefined,
): void {
  for (const address of addresses) {
    if (isLocalAddress(address)) continue;
    const fix =
      tls === undefined
        ? "set NEXUS_TLS_CERT_FILE and NEXUS_TLS_KEY_FILE"
        : `name ${listener} in ${reader.spell("NEXUS_TLS_LISTENERS")}`;
    reader.violation(
      settingOf(listener),
      formatListenAddress(address),
      `the ${listener} listener would speak plain text beyond this machine: ${fix}, listen on loopback, or accept it with --insecure=${listener} (NEXUS_INSECURE=${listener})`,
    );
  }
}

/** A client must be able to write to a socket to connect to it, and its other bits mean nothing. */
const socketModes: Readonly<Record<string, number>> = { "0600": 0o600, "0660": 0o660, "0666": 0o666 };

function readSocketMode(reader: SettingReader): number {
  const text = reader.read("NEXUS_SOCKET_MODE") ?? "0600";
  const mode = socketModes[text.padStart(4, "0")];
  if (mode === undefined) {
    reader.violation("NEXUS_SOCKET_MODE", text, `must be one of ${Object.keys(socketModes).join(", ")}`);
  }
  return mode ?? 0o600;
}

function settingOf(listener: ListenerName): keyof ListenerAddresses & SettingName {
  return `NEXUS_${listener.toUpperCase() as Uppercase<ListenerName>}_LISTEN`;
}
