import { resolve } from "node:path";
import { formatListenAddress, isLocalAddress, type ListenAddress } from "../model/listen_address.js";
import type { SettingReader } from "./setting_reader.js";
import type { SettingName } from "./settings.js";

export const doorNames = ["grpc", "http", "browser", "ops"] as const;
export type DoorName = (typeof doorNames)[number];

export const clientAuths = ["none", "optional", "require"] as const;

/** How the doors are kept, beyond their addresses. */
export interface DoorsConfig {
  /** Absent when every door speaks plain text. */
  readonly tls: TlsConfig | undefined;
  /** Mode of the file of every Unix socket. With any but 0600 a caller is the user at the other end. */
  readonly socketMode: number;
}

export interface TlsConfig {
  /** Absolute, as the other two. */
  readonly certFile: string;
  readonly keyFile: string;
  readonly clientCaFile: string | undefined;
  /** What the grpc and the http door ask of a client. */
  readonly clientAuth: (typeof clientAuths)[number];
  /** Whose TCP addresses speak TLS. */
  readonly doors: readonly DoorName[];
}

/** The addresses of the doors, by the setting that names them. */
export type DoorAddresses = Readonly<Record<`NEXUS_${Uppercase<DoorName>}_LISTEN`, readonly ListenAddress[]>>;

/** Faults are noted in `reader`: among them every TCP address that strangers could reach in plain text. */
export function readDoorsConfig(reader: SettingReader, addresses: DoorAddresses): DoorsConfig {
  const tls = readTls(reader);
  const insecure = readInsecure(reader);
  for (const door of doorNames) {
    if (tls?.doors.includes(door) || insecure.includes(door)) continue;
    refusePlain(reader, door, addresses[settingOf(door)], tls);
  }
  return Object.freeze({ tls, socketMode: readSocketMode(reader) });
}

/** The TLS of the doors; undefined without a certificate. Faults are noted in `reader`. */
export function readTls(reader: SettingReader): TlsConfig | undefined {
  const certFile = reader.read("NEXUS_TLS_CERT_FILE");
  const keyFile = reader.read("NEXUS_TLS_KEY_FILE");
  const clientCaFile = reader.read("NEXUS_TLS_CLIENT_CA_FILE");
  const clientAuth = readClientAuth(reader, clientCaFile);
  const doors = readDoors(reader, "NEXUS_TLS_DOORS") ?? doorNames;
  if (certFile === undefined || keyFile === undefined) {
    const missing = certFile === undefined ? "NEXUS_TLS_CERT_FILE" : "NEXUS_TLS_KEY_FILE";
    const needy = (["NEXUS_TLS_CERT_FILE", "NEXUS_TLS_KEY_FILE", "NEXUS_TLS_CLIENT_CA_FILE"] as const).find(
      (name) => reader.read(name) !== undefined,
    );
    if (needy !== undefined) reader.faultOfSecret(missing, `is needed beside ${reader.spell(needy)}`);
    return undefined;
  }
  return Object.freeze({
    certFile: resolve(certFile),
    keyFile: resolve(keyFile),
    clientCaFile: clientCaFile === undefined ? undefined : resolve(clientCaFile),
    clientAuth,
    doors: Object.freeze([...doors]),
  });
}

function readClientAuth(reader: SettingReader, clientCaFile: string | undefined): TlsConfig["clientAuth"] {
  const text = reader.read("NEXUS_TLS_CLIENT_AUTH")?.toLowerCase();
  if (text === undefined) return clientCaFile === undefined ? "none" : "optional";
  const word = clientAuths.find((candidate) => candidate === text);
  if (word === undefined) {
    reader.fault("NEXUS_TLS_CLIENT_AUTH", text, `must be one of ${clientAuths.join(", ")}`);
  } else if (word !== "none" && clientCaFile === undefined) {
    const caFile = reader.spell("NEXUS_TLS_CLIENT_CA_FILE");
    reader.fault("NEXUS_TLS_CLIENT_AUTH", text, `needs ${caFile}: which certificates are to be trusted?`);
  }
  return word ?? "none";
}

/** The doors that may speak plain text to strangers. */
function readInsecure(reader: SettingReader): readonly DoorName[] {
  const text = reader.read("NEXUS_INSECURE")?.toLowerCase();
  if (text === undefined || text === "false") return [];
  if (text === "true") return doorNames;
  return readDoors(reader, "NEXUS_INSECURE", "true, false or ") ?? [];
}

function readDoors(
  reader: SettingReader,
  name: "NEXUS_TLS_DOORS" | "NEXUS_INSECURE",
  others = "",
): readonly DoorName[] | undefined {
  const text = reader.read(name);
  if (text === undefined) return undefined;
  const words = text
    .toLowerCase()
    .split(",")
    .map((piece) => piece.trim());
  const doors = doorNames.filter((door) => words.includes(door));
  const unknown = words.find((word) => !doorNames.some((door) => door === word));
  if (unknown !== undefined) {
    reader.fault(name, text, `must be ${others}a comma list of ${doorNames.join(", ")}`);
  }
  return doors;
}

function refusePlain(
  reader: SettingReader,
  door: DoorName,
  addresses: readonly ListenAddress[],
  tls: TlsConfig | undefined,
): void {
  for (const address of addresses) {
    if (isLocalAddress(address)) continue;
    const mend =
      tls === undefined
        ? "set NEXUS_TLS_CERT_FILE and NEXUS_TLS_KEY_FILE"
        : `name ${door} in ${reader.spell("NEXUS_TLS_DOORS")}`;
    reader.fault(
      settingOf(door),
      formatListenAddress(address),
      `the ${door} door would speak plain text beyond this machine: ${mend}, listen on loopback, or accept it with --insecure=${door} (NEXUS_INSECURE=${door})`,
    );
  }
}

/** A client must be able to write to a socket to connect to it, and its other bits mean nothing. */
const socketModes: Readonly<Record<string, number>> = { "0600": 0o600, "0660": 0o660, "0666": 0o666 };

function readSocketMode(reader: SettingReader): number {
  const text = reader.read("NEXUS_SOCKET_MODE") ?? "0600";
  const mode = socketModes[text.padStart(4, "0")];
  if (mode === undefined) {
    reader.fault("NEXUS_SOCKET_MODE", text, `must be one of ${Object.keys(socketModes).join(", ")}`);
  }
  return mode ?? 0o600;
}

function settingOf(door: DoorName): keyof DoorAddresses & SettingName {
  return `NEXUS_${door.toUpperCase() as Uppercase<DoorName>}_LISTEN`;
}
