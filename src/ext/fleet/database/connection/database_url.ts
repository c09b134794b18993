import { readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { FleetRefused } from "./fleet_error.js";

/** One host of the URL: a name or address with a port, or the folder of a Unix socket. */
export interface DatabaseHost {
  readonly host: string;
  readonly port: number;
  readonly isSocket: boolean;
}

export interface DatabaseAddress {
  /** In the order in which they are tried. */
  readonly hosts: readonly DatabaseHost[];
  readonly user: string;
  readonly password: string | undefined;
  readonly database: string;
  /** Files in PEM; undefined: those of Node. */
  readonly tls: { readonly rootCert?: string; readonly cert?: string; readonly key?: string };
  /** What sessions are called at the server, with their purpose behind it. */
  readonly applicationName: string;
  /** Whether SCRAM proves the TLS channel too. */
  readonly channelBinding: ChannelBinding;
}

const channelBindings = ["disable", "prefer", "require"] as const;
type ChannelBinding = (typeof channelBindings)[number];
/** All of them lead to the primary here. */
const targets = ["any", "read-write", "primary"] as const;

const form = /^postgres(?:ql)?:\/\/(?:([^@/?]*)@)?([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/;
const parameters = [
  "host",
  "port",
  "user",
  "password",
  "dbname",
  "sslmode",
  "sslrootcert",
  "sslcert",
  "sslkey",
  "target_session_attrs",
  "connect_timeout",
  "application_name",
  "channel_binding",
];

/**
 * Reads a connection URI of libpq, with several hosts, of which `postgres://nexus@/nexus?host=/run/postgresql` names a Unix socket.
 * Messages never hold the URL, which may hold a password.
 *
 * @throws FleetRefused
 */
export function parseDatabaseUrl(url: string): DatabaseAddress {
  const parts = form.exec(url.trim());
  if (!parts) throw refused("is not of the form postgres://user:password@host:port/database");
  const [, login = "", authority = "", path = "", query = ""] = parts;
  const given = readParameters(query);
  const colon = login.indexOf(":");
  const user = decode(colon < 0 ? login : login.slice(0, colon)) || given.get("user") || userInfo().username;
  const password = colon < 0 ? given.get("password") : decode(login.slice(colon + 1));
  const hosts = readHosts(authority, given);
  const sslmode = given.get("sslmode");
  if (hosts.some(({ isSocket }) => !isSocket) && sslmode !== "verify-full") {
    throw refused("needs ?sslmode=verify-full, because the database is not behind a Unix socket");
  }
  if (sslmode !== undefined && sslmode !== "verify-full")
    throw refused("may have no sslmode but verify-full");
  const [rootCert, cert, key] = [given.get("sslrootcert"), given.get("sslcert"), given.get("sslkey")];
  if ((cert === undefined) !== (key === undefined))
    throw refused("needs both of sslcert and sslkey, or none");
  const channelBinding = oneOf("channel_binding", channelBindings, given) ?? "disable";
  if (channelBinding === "require" && hosts.some(({ isSocket }) => isSocket))
    throw refused("may have no channel_binding=require with a Unix socket, which has no TLS");
  oneOf("target_session_attrs", targets, given);
  // Each host gets three seconds, whatever it says: a lease is renewed meanwhile.
  if (!/^[+-]?\d+$/.test(given.get("connect_timeout") ?? "0"))
    throw refused("has a connect_timeout that is no whole number of seconds");
  const applicationName = given.get("application_name") || "nexusd";
  const tls = {
    ...(rootCert !== undefined && rootCert !== "system" && { rootCert }),
    ...(cert !== undefined && key !== undefined && { cert, key }),
  };
  const database = decode(path) || given.get("dbname") || user;
  return { hosts, user, password, database, tls, applicationName, channelBinding };
}

/** What TLS needs, read again at each connection, so that files may be renewed. @throws FleetRefused */
export function readTlsFiles({ tls }: DatabaseAddress): { ca?: string; cert?: string; key?: string } {
  const read = (name: string, path: string): string => {
    try {
      return readFileSync(path, "utf8");
    } catch (cause) {
      throw new FleetRefused("url", `the file that ${name} of the database's URL names cannot be read`, {
        cause,
      });
    }
  };
  return {
    ...(tls.rootCert !== undefined && { ca: read("sslrootcert", tls.rootCert) }),
    ...(tls.cert !== undefined && { cert: read("sslcert", tls.cert) }),
    ...(tls.key !== undefined && { key: read("sslkey", tls.key) }),
  };
}

function readParameters(query: string): Map<string, string> {
  const given = new Map<string, string>();
  for (const pair of query.split("&").filter(Boolean)) {
    const equals = pair.indexOf("=");
    const name = decode(equals < 0 ? pair : pair.slice(0, equals));
    if (!parameters.includes(name)) throw refused(`may have the parameters ${parameters.join(", ")} alone`);
    if (given.has(name)) throw refused(`has ${name} twice`);
    given.set(name, equals < 0 ? "" : decode(pair.slice(equals + 1)));
  }
  return given;
}

function oneOf<T extends string>(
  name: string,
  known: readonly T[],
  given: ReadonlyMap<string, string>,
): T | undefined {
  const text = given.get(name);
  const found = known.find((each) => each === text);
  if (text !== undefined && found === undefined)
    throw refused(`may have for ${name} nothing but ${known.join(", ")}`);
  return found;
}

function readHosts(authority: string, given: ReadonlyMap<string, string>): DatabaseHost[] {
  const named = authority === "" ? (given.get("host") ?? "").split(",") : authority.split(",").map(splitPort);
  const ports = (given.get("port") ?? "").split(",");
  const hosts = named.map((entry, at) => {
    const [host, port] = typeof entry === "string" ? [entry, undefined] : entry;
    const isSocket = host.startsWith("/");
    if (host === "") throw refused("names no host");
    return { host, port: readPort(port ?? (ports.length === 1 ? ports[0] : ports[at])), isSocket };
  });
  return hosts;
}

/** `host:port`, `[address]:port`, or a folder in percent-encoding. */
function splitPort(entry: string): [host: string, port: string | undefined] {
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:]*))(?::(.*))?$/.exec(entry) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined) throw refused("names a host that cannot be read");
  return [decode(host), port];
}

function readPort(text: string | undefined): number {
  if (text === undefined || text === "") return 5432;
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535)
    throw refused("names a port that is not from 1 to 65535");
  return port;
}

function decode(text: string): string {
  try {
    const decoded = decodeURIComponent(text);
    if (decoded.includes("\0")) throw refused("holds a NUL");
    return decoded;
  } catch (error) {
    if (error instanceof FleetRefused) throw error;
    throw refused("holds a % that begins no percent-encoding");
  }
}

function refused(words: string): FleetRefused {
  return new FleetRefused("url", `the database's URL ${words}`);
}
