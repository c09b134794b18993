import { limitSettings } from "./limit_settings.js";

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
    meaning:
      "The key that seals the store: base64 of 32 bytes; or a ring of keys, apart by commas, the newest last; or exec: and a command, as in NEXUS_ENCRYPTION_KEY_COMMAND. Only one of the three is set.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_ENCRYPTION_KEY_FILE",
    flag: "--encryption-key-file",
    argument: "file",
    default: "<data-dir>/encryption.key, made on first start",
    meaning: "The file that holds that key, or a ring: a key a line, the newest last, # begins a comment.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_ENCRYPTION_KEY_COMMAND",
    flag: "--encryption-key-command",
    argument: "command",
    default: "none",
    meaning:
      "A program that prints that key, or a ring as in the file. Run without a shell: words apart by white space, quotes keep a word together, nothing is replaced; at most 30 s and 64 KiB.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_GRPC_LISTEN",
    flag: "--grpc-listen",
    argument: "addresses",
    default: "unix:<data-dir>/nexus.sock",
    meaning: `The gRPC listener for agents: ${addresses}; off closes it.`,
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_HTTP_LISTEN",
    flag: "--http-listen",
    argument: "addresses",
    default: "127.0.0.1:8090",
    meaning: `The Connect, gRPC-Web, JSON and REST listener: ${addresses}; off closes it.`,
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_BROWSER_LISTEN",
    flag: "--browser-listen",
    argument: "addresses",
    default: "127.0.0.1:8080",
    meaning: `The listener for a person's browser: ${addresses}; it cannot be closed.`,
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_OPS_LISTEN",
    flag: "--ops-listen",
    argument: "addresses",
    default: "127.0.0.1:9090",
    meaning: `The listener of /livez, /readyz, /metrics and the page /status: ${addresses}; off closes it.`,
    readBy: ["daemon", "client"],
  },
  {
    name: "NEXUS_TLS_CERT_FILE",
    flag: "--tls-cert-file",
    argument: "file",
    default: "none",
    meaning:
      "PEM: the certificate of the listeners and those that lead to its root. Read again when it changes, as the two below.",
    readBy: ["daemon", "client"],
  },
  {
    name: "NEXUS_TLS_KEY_FILE",
    flag: "--tls-key-file",
    argument: "file",
    default: "none",
    meaning: "PEM: its private key, without a passphrase.",
    readBy: ["daemon", "client"],
  },
  {
    name: "NEXUS_TLS_CLIENT_CA_FILE",
    flag: "--tls-client-ca-file",
    argument: "file",
    default: "none",
    meaning:
      "PEM: the CAs whose client certificates are trusted on the gRPC and the HTTP listener: cert:<SPIFFE ID> or cert:<subject> is the caller then.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_TLS_CLIENT_AUTH",
    flag: "--tls-client-auth",
    argument: "word",
    default: "optional with NEXUS_TLS_CLIENT_CA_FILE, else none",
    meaning: "Whether those two listeners ask for a client certificate: none, optional or require.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_TLS_LISTENERS",
    flag: "--tls-listeners",
    argument: "listeners",
    default: "grpc,http,browser,ops",
    meaning: "The listeners whose TCP addresses speak TLS when there is a certificate.",
    readBy: ["daemon", "client"],
  },
  {
    name: "NEXUS_INSECURE",
    flag: "--insecure",
    argument: "[listeners]",
    default: "false",
    meaning:
      "Listeners that may speak plain text beyond this machine, behind a proxy with TLS: a comma list of grpc, http, browser, ops; true is all.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_SOCKET_MODE",
    flag: "--socket-mode",
    argument: "mode",
    default: "0600",
    meaning:
      "Mode of the Unix sockets: 0600, 0660 or 0666. Wider than 0600 (Linux), another user of the machine is the caller uid:<number>.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_JWT_ISSUER",
    flag: "--jwt-issuer",
    argument: "url",
    default: "none",
    meaning:
      "Callers may show JSON Web Tokens of this issuer, as Kubernetes projects them into pods; they are jwt:<sub>. Needs NEXUS_JWT_AUDIENCE.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_JWT_AUDIENCE",
    flag: "--jwt-audience",
    argument: "text",
    default: "none",
    meaning: "The audience that such a token must be meant for.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_JWT_JWKS_FILE",
    flag: "--jwt-jwks-file",
    argument: "file",
    default: "none",
    meaning: "A JSON Web Key Set: the issuer's public keys. Read again when it changes.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_JWT_JWKS_URL",
    flag: "--jwt-jwks-url",
    argument: "url",
    default: "what the issuer's discovery document says",
    meaning: "Where the issuer publishes its keys: https. Not together with NEXUS_JWT_JWKS_FILE.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_JWT_CA_FILE",
    flag: "--jwt-ca-file",
    argument: "file",
    default: "the CAs of Node",
    meaning: "PEM: the CAs to trust when the keys are fetched, as that of a cluster.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_JWT_TOKEN_FILE",
    flag: "--jwt-token-file",
    argument: "file",
    default: "none",
    meaning:
      "Holds the bearer token to fetch the keys with, where the issuer asks for one; sent to the host of the settings above alone.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_PUBLIC_URL",
    flag: "--public-url",
    argument: "url",
    default: "http://localhost:8080",
    meaning:
      "How a person's browser reaches the browser listener: https (http on loopback), a path prefix is allowed. Redirect URIs begin with <public-url>/auth/callback.",
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
    name: "NEXUS_REQUIRE_CONFIRMATION",
    flag: "--require-confirmation",
    argument: "word",
    default: "false",
    meaning:
      "true: every consent needs a return URL and is readable only after ConfirmConnection, whatever its request says.",
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
    name: "NEXUS_ALLOW_LOOPBACK_PROVIDERS",
    flag: "--allow-loopback-providers",
    argument: "true|false",
    default: "false",
    meaning:
      "For development: providers may stand on this machine, over plain http too. Off, an URL of a profile that leads here is refused.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_ALLOWED_PRIVATE_NETWORKS",
    flag: "--allowed-private-networks",
    argument: "networks",
    default: "none",
    meaning:
      "Where providers may stand besides the public internet, over https: a comma list of CIDR blocks inside the private ranges, host names and *.suffixes.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_SDS_PREFIX",
    flag: "--sds-prefix",
    argument: "text",
    default: "nexus",
    meaning: "What the names of Envoy's secrets begin with: `nexus/<connection id>/header`.",
    readBy: ["daemon"],
  },
  {
    name: "NEXUS_ADMIN_KEY_FILE",
    flag: "--admin-key-file",
    argument: "file",
    default: "<data-dir>/admin.key, made on first start",
    meaning: "The file that holds the admin's API key, at least 20 characters; one that is named must exist.",
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
    name: "NEXUS_DRAIN_TIMEOUT_MS",
    flag: "--drain-timeout-ms",
    argument: "milliseconds",
    default: "4000",
    meaning:
      "How long, after SIGTERM, streams, calls and refreshes under way may take to end: 100 to 300000. What takes longer is cut off.",
    readBy: ["daemon"],
  },
  ...limitSettings,
  {
    name: "OTEL_EXPORTER_OTLP_ENDPOINT",
    flag: undefined,
    argument: "",
    default: "none",
    meaning:
      "Traces go to this OTLP receiver, over HTTP with protobuf: http://host:4318, to which v1/traces is added. None without it or the next.",
    readBy: ["daemon"],
  },
  {
    name: "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    flag: undefined,
    argument: "",
    default: "none",
    meaning: "The same as a whole URL, to which nothing is added.",
    readBy: ["daemon"],
  },
  {
    name: "OTEL_TRACES_EXPORTER",
    flag: undefined,
    argument: "",
    default: "otlp",
    meaning: "none turns traces off where the environment sets an endpoint.",
    readBy: ["daemon"],
  },
  {
    name: "OTEL_SDK_DISABLED",
    flag: undefined,
    argument: "",
    default: "false",
    meaning: "true does the same.",
    readBy: ["daemon"],
  },
  {
    name: "OTEL_TRACES_SAMPLER",
    flag: undefined,
    argument: "",
    default: "parentbased_always_on",
    meaning:
      "Which traces are kept: always_on, always_off, traceidratio, each alone or with parentbased_ before it.",
    readBy: ["daemon"],
  },
  {
    name: "OTEL_TRACES_SAMPLER_ARG",
    flag: undefined,
    argument: "",
    default: "1",
    meaning: "Of traceidratio: the part that is kept, 0 to 1.",
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
    name: "NEXUS_CA_FILE",
    flag: "--ca-file",
    argument: "file",
    default: "the CAs of Node",
    meaning: "PEM: the CAs to trust at an https address.",
    readBy: ["client"],
  },
  {
    name: "NEXUS_CLIENT_CERT_FILE",
    flag: "--client-cert-file",
    argument: "file",
    default: "none",
    meaning: "PEM: the certificate to show at an https address; no API key is needed then.",
    readBy: ["client"],
  },
  {
    name: "NEXUS_CLIENT_KEY_FILE",
    flag: "--client-key-file",
    argument: "file",
    default: "none",
    meaning: "PEM: its private key.",
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
