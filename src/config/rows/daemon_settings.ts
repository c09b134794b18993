import {
  addresses,
  loopback,
  networks,
  origins,
  publicUrl,
  socketMode,
  webProxy,
  withoutProxy,
} from "../kinds/address_kinds.js";
import { keyCommand, keysOrCommand } from "../kinds/key_kinds.js";
import { age, count, namedFiles, path, type SettingGroups, toggle, word } from "../kinds/setting_kinds.js";
import { coreListeners, listenerSettings } from "./listener_settings.js";

/** What the daemon is, as opposed to what limits it and how the commands reach it. */
export const daemonSettings = {
  "Data and keys": {
    NEXUS_DATA_DIR: {
      kind: path("folder"),
      unset: "the platform's data folder for nexusd",
      meaning: "The folder of the store, the keys, and the socket. Created with mode 0700.",
      isFirst: true,
    },
    NEXUS_ENCRYPTION_KEY: {
      kind: keysOrCommand,
      flag: false,
      meaning:
        "The key that encrypts the store: base64 of 32 bytes, or several, separated by commas, the newest last. Or exec: and a command. Set one of the three.",
    },
    NEXUS_ENCRYPTION_KEY_FILE: {
      kind: path("file"),
      unset: "<data-dir>/encryption.key, created on first start",
      meaning:
        "The file with the key that encrypts the store, or several, one per line, the newest last; # starts a comment.",
      isFirst: true,
    },
    NEXUS_ENCRYPTION_KEY_COMMAND: {
      kind: keyCommand,
      meaning:
        "A program that prints the key that encrypts the store, or several. It runs without a shell: white space separates words, quotes keep a word together, and nothing is expanded. It may take 30 s and print 64 KiB, and inherits no variable that NEXUS_PROVIDERS_FILE names.",
    },
  },
  Listeners: {
    NEXUS_PORT_BASE: {
      kind: count("port", 1, 65_532),
      unset: "the defaults of the settings below",
      meaning:
        "For a second daemon of the same user: the default port of the http listener. The browser, ops, and console listeners use the next three, and the data folder's name ends with it. Commands need the same setting.",
    },
    NEXUS_GRPC_LISTEN: {
      kind: addresses({ canClose: true }),
      unset: "unix:<data-dir>/nexus.sock",
      meaning:
        "The addresses for agents, over gRPC, gRPC-Web, Connect, and JSON. A host:port alone keeps the socket. off closes it.",
      isFirst: true,
    },
    NEXUS_HTTP_LISTEN: {
      kind: addresses({ canClose: true }),
      default: "127.0.0.1:8090",
      atPortBase: (base) => `127.0.0.1:${base}`,
      meaning: "The addresses of REST and of all that the grpc listener serves. off closes it.",
      isFirst: true,
    },
    NEXUS_BROWSER_LISTEN: {
      kind: addresses({ canClose: false }),
      default: "127.0.0.1:8080",
      atPortBase: (base) => `127.0.0.1:${base + 1}`,
      meaning: "The addresses of the consent pages. This listener cannot be closed.",
      isFirst: true,
    },
    NEXUS_OPS_LISTEN: {
      kind: addresses({ canClose: true }),
      default: "127.0.0.1:9090",
      atPortBase: (base) => `127.0.0.1:${base + 2}`,
      meaning:
        "The addresses of /livez, /readyz, /metrics, and /status. nexusd health needs it. off closes it.",
    },
    NEXUS_TLS_CERT_FILE: {
      kind: path("file"),
      meaning:
        "PEM: the listeners' certificate, then its intermediates. TCP addresses then use TLS. The three TLS files are read again when they change.",
      isFirst: true,
    },
    NEXUS_TLS_KEY_FILE: {
      kind: path("file"),
      meaning: "PEM: the private key of the listeners' certificate, without a passphrase.",
      isFirst: true,
    },
    ...listenerSettings(coreListeners),
    NEXUS_SOCKET_MODE: {
      kind: socketMode,
      default: "0600",
      meaning:
        "The mode of the Unix sockets. If it is wider than 0600 (Linux and macOS), other users of the machine can call as uid:<number>.",
    },
  },
  Callers: {
    NEXUS_POLICY_FILE: {
      kind: path("file"),
      flag: "--policy",
      unset:
        "none: the owner of the socket and admin.key are admin, an API key has its own role, and others have no access",
      meaning:
        "Roles and rules for callers, YAML or JSON. Read at start, when it changes, and on SIGHUP. nexusd does not start with an invalid file, and ignores an invalid change.",
      isFirst: true,
    },
    NEXUS_ADMIN_KEY_FILE: {
      kind: path("file"),
      unset: "<data-dir>/admin.key, created on first start",
      meaning: "The admin's API key, at least 20 characters. If you set it, the file must exist.",
    },
  },
  Consent: {
    NEXUS_PUBLIC_URL: {
      kind: publicUrl,
      default: "http://localhost:8080",
      atPortBase: (base) => `http://localhost:${base + 1}`,
      meaning:
        "The URL of the browser listener for browsers: https (http on loopback), with an optional path prefix. Redirect URIs start with <public-url>/auth/callback.",
      isFirst: true,
    },
    NEXUS_ALLOWED_RETURN_URLS: {
      kind: origins,
      default: "",
      meaning:
        "Origins to which nexusd may send a user after consent, separated by commas: https (http on loopback). In `https://*.example.com`, the wildcard is one label.",
    },
    NEXUS_SHARED_REDIRECT_URI: {
      kind: toggle,
      default: "false",
      meaning:
        "Give new oauth2 profiles <public-url>/auth/callback, the redirect URI of Nexus. Only if you trust every provider: nexusd then detects a mix-up attack only by iss, which many do not send.",
    },
    NEXUS_REQUIRE_CONFIRMATION: {
      kind: toggle,
      default: "false",
      meaning: "Every consent needs a return URL, and its token is readable only after ConfirmConnection.",
    },
    NEXUS_OTHER_ACCOUNT: {
      kind: word("word", ["refuse", "accept"]),
      default: "refuse",
      meaning:
        "If the user consents again with another account: refuse keeps the connection as it was; accept takes the new account, and the page and the audit log report it. It needs a provider that identifies accounts.",
    },
  },
  Providers: {
    NEXUS_PROVIDERS_FILE: {
      kind: path("file"),
      flag: "--providers",
      meaning:
        "A manifest of providers. Applied at start, when it changes, and on SIGHUP. nexusd does not start if it is missing.",
      isFirst: true,
    },
    NEXUS_CATALOG_FILE: {
      kind: path("file"),
      flag: "--catalog",
      meaning: "Your own provider templates, YAML or JSON. They replace built-in ones of the same name.",
    },
    NEXUS_ALLOW_LOOPBACK_PROVIDERS: {
      kind: loopback,
      default: "false",
      meaning:
        "For development: allow providers on this machine, also over plain http: true, or the ports, separated by commas.",
    },
    NEXUS_ALLOWED_PRIVATE_NETWORKS: {
      kind: networks,
      default: "",
      meaning:
        "Where providers may run besides the public internet, over https: private CIDR blocks, host names, and *.suffixes, separated by commas.",
    },
    HTTPS_PROXY: {
      kind: webProxy,
      flag: false,
      meaning:
        "The proxy for requests to providers and through egress: http://[user:password@]host:port, or https:// for one with TLS. Also https_proxy. This machine is always reached directly.",
    },
    HTTP_PROXY: {
      kind: webProxy,
      flag: false,
      meaning: "The proxy for requests to plain http through egress. Also http_proxy.",
    },
    NO_PROXY: {
      kind: withoutProxy,
      default: "",
      flag: false,
      meaning:
        "Hosts to reach without the proxy, separated by commas: names with all below them, addresses, CIDR blocks, or *. Also no_proxy.",
    },
    NEXUS_CLIENT_ASSERTION_FILES: {
      kind: namedFiles,
      default: "",
      meaning:
        "Files with a JWT that authenticates nexusd to providers: name=/path, separated by commas. A profile names one in client_assertion_source. Read for each request, up to 16 KiB.",
    },
    NEXUS_SIGNING_KEY_FILES: {
      kind: namedFiles,
      default: "",
      meaning:
        "Files with a client's private key (PEM, JWK, or a key file): name=/path, separated by commas. A profile names one in client_key_source. Read for each signed request, up to 64 KiB. nexusd warns if other users can read one.",
    },
    NEXUS_API_CA_FILES: {
      kind: namedFiles,
      default: "",
      meaning:
        "Files with certificates of authorities (PEM): name=/path, separated by commas. A profile names one in api_ca_file, and that provider alone trusts it. Read for each request, up to 64 KiB. Also for nexusd run, curl, and mcp, where they run.",
    },
  },
  "Logs, audit, and shutdown": {
    NEXUS_LOG_LEVEL: {
      kind: word("level", ["trace", "debug", "info", "warn", "error"]),
      default: "info",
      meaning: "The lowest level to log.",
    },
    NEXUS_LOG_FORMAT: {
      kind: word("format", ["json", "pretty"]),
      unset: "pretty on a terminal, else json",
      meaning: "The format of log lines.",
    },
    NEXUS_AUDIT_MAX_EVENTS: {
      kind: count("count", 100, 999_999_999),
      default: "100000",
      meaning: "How many audit events to keep. The rest can still be verified.",
    },
    NEXUS_AUDIT_MAX_AGE: { kind: age, default: "365d", meaning: "How long to keep audit events." },
    NEXUS_DRAIN_TIMEOUT_MS: {
      kind: count("milliseconds", 100, 300_000),
      default: "4000",
      meaning:
        "How long streams, calls, and refreshes may take to finish after SIGTERM; then nexusd aborts them.",
    },
  },
} as const satisfies SettingGroups;
