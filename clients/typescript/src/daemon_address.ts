import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { InvalidArgument, Unauthenticated } from "./errors.js";

/** Where the daemon is, and who calls. What is left out comes from the environment. */
export interface NexusOptions {
  /**
   * `unix:/path`, `http://host:port` or `https://host:port`. Default: `NEXUS_ADDRESS`, or the socket of the daemon of this user
   * (`NEXUS_DATA_DIR`).
   */
  readonly address?: string | undefined;
  /** The key for TCP. Default: `NEXUS_API_KEY`. A Unix socket needs none. */
  readonly apiKey?: string | undefined;
  /** A file with the key, read for each call. Default: `NEXUS_API_KEY_FILE`. */
  readonly apiKeyFile?: string | undefined;
  /** PEM, for `https`: the authorities that are trusted instead of those of Node. Default: the file that `NEXUS_CA_FILE` names. */
  readonly ca?: string | undefined;
  /** PEM, for `https`: a client certificate. Default: the files of `NEXUS_CLIENT_CERT_FILE` and `NEXUS_CLIENT_KEY_FILE`. */
  readonly certificate?: { readonly cert: string; readonly key: string } | undefined;
}

/** The same, complete. */
export interface DaemonAddress {
  /** As a person writes it. */
  readonly text: string;
  readonly url: URL;
  /** Set for a Unix socket; `url` is of no use then. */
  readonly socketPath: string | undefined;
  /** @throws Unauthenticated when the file cannot be read */
  readonly apiKey: () => string | undefined;
  readonly ca: string | undefined;
  readonly certificate: { readonly cert: string; readonly key: string } | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws InvalidArgument */
export function daemonAddress(options: NexusOptions, environment: Environment = process.env): DaemonAddress {
  const setting = (name: string): string | undefined => environment[name] || undefined;
  const text =
    options.address ?? setting("NEXUS_ADDRESS") ?? `unix:${join(dataFolder(setting), "nexus.sock")}`;
  const apiKey = keyReader(options, setting);
  if (text.startsWith("unix:")) {
    const socketPath = text.replace(/^unix:(\/\/(?=\/))?/, "");
    if (socketPath === "") throw new InvalidArgument(`address: ${JSON.stringify(text)} names no path`);
    const url = new URL("http://localhost");
    return { text, url, socketPath, apiKey: () => undefined, ca: undefined, certificate: undefined };
  }
  const url = originOf(text);
  const file = (name: string): string | undefined => {
    const path = setting(name);
    return path === undefined ? undefined : read(path, name);
  };
  const [cert, key] = [file("NEXUS_CLIENT_CERT_FILE"), file("NEXUS_CLIENT_KEY_FILE")];
  const ofFiles = cert !== undefined && key !== undefined ? { cert, key } : undefined;
  const certificate = options.certificate ?? ofFiles;
  if (!apiKey && !(certificate && url.protocol === "https:")) {
    throw new InvalidArgument(
      `${text} needs a key: set NEXUS_API_KEY_FILE to its file (a daemon of this user has its own in ${join(dataFolder(setting), "admin.key")})`,
    );
  }
  return {
    text,
    url,
    socketPath: undefined,
    apiKey: apiKey ?? (() => undefined),
    ca: options.ca ?? file("NEXUS_CA_FILE"),
    certificate,
  };
}

/** What would be a password is not repeated. */
function originOf(text: string): URL {
  if (text.includes("@")) throw new InvalidArgument("address: must not hold a user name or password");
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isOrigin = url && url.pathname === "/" && url.search === "" && url.hash === "";
  if (!isOrigin || (url.protocol !== "http:" && url.protocol !== "https:")) {
    throw new InvalidArgument(
      `address: ${JSON.stringify(text)} must be unix:/path, http://host:port or https://host:port`,
    );
  }
  return url;
}

/** Undefined when there is none. */
function keyReader(
  options: NexusOptions,
  setting: (name: string) => string | undefined,
): (() => string | undefined) | undefined {
  const { apiKey, apiKeyFile } = options;
  if (apiKey !== undefined) return () => apiKey;
  if (apiKeyFile !== undefined) return () => read(apiKeyFile, "apiKeyFile").trim();
  const path = setting("NEXUS_API_KEY_FILE");
  if (path !== undefined) return () => read(path, "NEXUS_API_KEY_FILE").trim();
  const key = setting("NEXUS_API_KEY");
  return key === undefined ? undefined : () => key;
}

function read(path: string, name: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw new Unauthenticated(`${name}: cannot be read: ${(error as Error).message}`, undefined, error);
  }
}

/** Where the daemon of this user keeps its data. */
function dataFolder(setting: (name: string) => string | undefined): string {
  const given = setting("NEXUS_DATA_DIR");
  if (given !== undefined) return given;
  const home = setting("HOME") ?? homedir();
  if (process.platform === "darwin") return join(home, "Library/Application Support/nexusd");
  return join(setting("XDG_DATA_HOME") ?? join(home, ".local/share"), "nexusd");
}
