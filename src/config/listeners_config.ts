import { formatListenAddress, isLocalAddress, type ListenAddress } from "../model/listen_address.js";
import type { ListenerRow } from "./rows/listener_settings.js";
import type { SettingReader } from "./setting_reader.js";

/** The addresses of each listener, by its name; none when it is closed. */
type ListenerAddresses = Readonly<Record<string, readonly ListenAddress[]>>;

/**
 * Errors are noted in `reader`: among them every TCP address that others could reach in plain text, and one that two listeners
 * share.
 */
export function readListenersConfig(
  reader: SettingReader,
  rows: readonly ListenerRow[],
  addresses: ListenerAddresses,
) {
  refuseSharedAddresses(reader, addresses);
  const tls = readTls(reader);
  const insecure = reader.get("NEXUS_INSECURE");
  for (const listener of Object.keys(addresses)) {
    if (tls?.listeners.includes(listener) || insecure.includes(listener)) continue;
    for (const address of addresses[listener] ?? []) {
      if (!isLocalAddress(address)) refusePlain(reader, listener, address, tls);
    }
  }
  const forCallers = rows.filter(({ isForCallers }) => isForCallers).map(({ name }) => name);
  return Object.freeze({ tls, socketMode: reader.get("NEXUS_SOCKET_MODE"), forCallers });
}

/** The TLS of the listeners; undefined without a certificate. Errors are noted in `reader`. */
export function readTls(reader: SettingReader) {
  const certFile = reader.get("NEXUS_TLS_CERT_FILE");
  const keyFile = reader.get("NEXUS_TLS_KEY_FILE");
  const clientCaFile = reader.get("NEXUS_TLS_CLIENT_CA_FILE");
  const clientAuth = readClientAuth(reader, clientCaFile);
  const listeners = reader.get("NEXUS_TLS_LISTENERS");
  if (certFile === undefined || keyFile === undefined) {
    reader.needs(certFile === undefined ? "NEXUS_TLS_CERT_FILE" : "NEXUS_TLS_KEY_FILE", [
      "NEXUS_TLS_CERT_FILE",
      "NEXUS_TLS_KEY_FILE",
      "NEXUS_TLS_CLIENT_CA_FILE",
    ]);
    return undefined;
  }
  return Object.freeze({ certFile, keyFile, clientCaFile, clientAuth, listeners });
}

function readClientAuth(reader: SettingReader, clientCaFile: string | undefined) {
  const word = reader.get("NEXUS_TLS_CLIENT_AUTH") ?? (clientCaFile === undefined ? "none" : "optional");
  if (word !== "none" && clientCaFile === undefined) {
    const caFile = reader.spell("NEXUS_TLS_CLIENT_CA_FILE");
    reader.refuse("NEXUS_TLS_CLIENT_AUTH", `needs ${caFile}: which certificates are to be trusted?`, word);
  }
  return word;
}

/** Port 0 is another port each time and can stand more than once. */
function refuseSharedAddresses(reader: SettingReader, addresses: ListenerAddresses): void {
  const taken = new Map<string, string>();
  for (const listener of Object.keys(addresses)) {
    for (const address of addresses[listener] ?? []) {
      if (address.kind === "tcp" && address.port === 0) continue;
      const text = formatListenAddress(address);
      const first = taken.get(text);
      if (first === undefined) taken.set(text, listener);
      else
        reader.refuse(
          listenSetting(listener),
          `the address is already taken by ${reader.spell(listenSetting(first))}`,
          text,
        );
    }
  }
}

function refusePlain(
  reader: SettingReader,
  listener: string,
  address: ListenAddress,
  tls: ReturnType<typeof readTls>,
): void {
  const fix =
    tls === undefined
      ? "set NEXUS_TLS_CERT_FILE and NEXUS_TLS_KEY_FILE"
      : `name ${listener} in ${reader.spell("NEXUS_TLS_LISTENERS")}`;
  reader.refuse(
    listenSetting(listener),
    `the ${listener} listener would speak plain text beyond this machine: ${fix}, listen on loopback, or accept it with --insecure=${listener} (NEXUS_INSECURE=${listener})`,
    formatListenAddress(address),
  );
}

/** The setting of a listener's addresses. */
export function listenSetting(listener: string): string {
  return `NEXUS_${listener.toUpperCase()}_LISTEN`;
}
