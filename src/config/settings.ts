/** One setting, as `nexusd serve --help` prints it and the README lists it. */
export interface Setting {
  /** The environment variable. */
  readonly name: string;
  /** The flag that wins over the variable; settings that hold a secret have none. */
  readonly flag: `--${string}` | undefined;
  /** What stands after the flag. */
  readonly argument: string;
  /** The default in words. */
  readonly default: string;
  readonly meaning: string;
  readonly readBy: readonly ("daemon" | "client")[];
}

const addresses = "a comma list of host:port or unix:path";

export const settings = [
  {
    name: "NEXUS_DATA_DIR",
    flag: "--data-dir",
    argument: "folder",
    default: "the platform's data folder for nexusd",
    meaning: "Holds the store, the keys and the socket; made with mode 0700.",
    readBy: ["daemon", "client"],
  },
  {
    name: "NEXUS_ENCRYPTION_KEY",
    flag: undefined,
    argument: "",
    default: "none",
    meaning: "The key that seals the store: base64 of 32 bytes. Not together with NEXUS_ENCRYPTION_KEY_FILE.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_ENCRYPTION_KEY_FILE",
    flag: "--encryption-key-file",
    argument: "file",
    default: "<data-dir>/encryption.key, made on first start",
    meaning: "The file that holds that key.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_GRPC_LISTEN",
    flag: "--grpc-listen",
    argument: "addresses",
    default: "unix:<data-dir>/nexus.sock",
    meaning: `The gRPC door for agents: ${addresses}; off closes it.`,
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_HTTP_LISTEN",
    flag: "--http-listen",
    argument: "addresses",
    default: "127.0.0.1:8090",
    meaning: `The Connect, gRPC-Web, JSON and REST door: ${addresses}; off closes it.`,
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_BROWSER_LISTEN",
    flag: "--browser-listen",
    argument: "addresses",
    default: "127.0.0.1:8080",
    meaning: `The door for a person's browser: ${addresses}; it cannot be closed.`,
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_OPS_LISTEN",
    flag: "--ops-listen",
    argument: "addresses",
    default: "127.0.0.1:9090",
    meaning: `The door of /livez, /readyz and /metrics: ${addresses}; off closes it.`,
    readBy: ["daemon", "client"],
  },
  {
    name: "NEXUS_PUBLIC_URL",
    flag: "--public-url",
    argument: "url",
    default: "http://localhost:8080",
    meaning:
      "How a person's browser reaches the browser door: https (http on loopback), a path prefix is allowed. The redirect URI is <public-url>/auth/callback.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_ALLOWED_RETURN_URLS",
    flag: "--allowed-return-urls",
    argument: "origins",
    default: "none",
    meaning: "Where a person may be sent after consent: a comma list of origins, https (http on loopback).",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_CATALOG_FILE",
    flag: "--catalog",
    argument: "file",
    default: "none",
    meaning:
      "Provider templates of your own, YAML or JSON, over the built-in ones: those of the same name are replaced.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_PROVIDERS_FILE",
    flag: "--providers",
    argument: "file",
    default: "none",
    meaning:
      "A manifest of providers, as nexusd providers apply takes it: applied at start, when it changes and on SIGHUP.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_POLICY_FILE",
    flag: "--policy",
    argument: "file",
    default: "none: owner and admin.key are admin, API keys have their own role, all others nothing",
    meaning:
      "Who may do what, YAML or JSON: read at start, when it changes and on SIGHUP. A broken one stops the start, and later changes nothing.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_LOG_LEVEL",
    flag: "--log-level",
    argument: "level",
    default: "info",
    meaning: "trace, debug, info, warn or error.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_LOG_FORMAT",
    flag: "--log-format",
    argument: "format",
    default: "pretty on a terminal, else json",
    meaning: "json or pretty.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_AUDIT_MAX_EVENTS",
    flag: "--audit-max-events",
    argument: "count",
    default: "100000",
    meaning: "How many audit events are kept; older ones are pruned, and the rest still verifies.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_AUDIT_MAX_AGE",
    flag: "--audit-max-age",
    argument: "age",
    default: "365d",
    meaning: "How long audit events are kept: days or hours, as 365d or 12h.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_ADDRESS",
    flag: "--address",
    argument: "address",
    default: "unix:<data-dir>/nexus.sock",
    meaning: "Where the commands find the daemon: unix:path, http://host:port or https://host:port.",
    readBy: ["client"],
  },
  {
    name: "NEXUS_API_KEY",
    flag: undefined,
    argument: "",
    default: "none",
    meaning: "The API key for an http or https address. Not together with NEXUS_API_KEY_FILE.",
    readBy: ["client"],
  },
  {
    name: "NEXUS_API_KEY_FILE",
    flag: "--api-key-file",
    argument: "file",
    default: "none",
    meaning: "The file that holds that key; the daemon makes one as <data-dir>/admin.key.",
    readBy: ["client"],
  },
  {
    name: "NEXUS_CLIENT_SECRET",
    flag: undefined,
    argument: "",
    default: "none",
    meaning: "The client secret for nexusd provider create and add.",
    readBy: ["client"],
  },
] as const satisfies readonly Setting[];

export type SettingName = (typeof settings)[number]["name"];

/** Values of flags, by the name of the setting that they win over. */
export type Flags = Readonly<Partial<Record<SettingName, string>>>;
