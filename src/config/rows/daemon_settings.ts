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
      unset: "the platform's data folder",
      meaning: "Folder of the store, keys, and socket. Created with mode 0700.",
      isFirst: true,
    },
    NEXUS_ENCRYPTION_KEY: {
      kind: keysOrCommand,
      flag: false,
      meaning:
        "Key that encrypts the store: 32 bytes in base64, or several, comma-separated, newest last. Or exec: and a command.",
    },
    NEXUS_ENCRYPTION_KEY_FILE: {
      kind: path("file"),
      unset: "<data-dir>/encryption.key, created on first start",
      meaning:
        "File with the key that encrypts the store, or several, one per line, newest last; # starts a comment.",
      isFirst: true,
    },
    NEXUS_ENCRYPTION_KEY_COMMAND: {
      kind: keyCommand,
      meaning:
        "Command that prints these keys. It runs without a shell: quotes group words, and nothing is expanded. Limits: 30 s, 64 KiB. It inherits no variable that NEXUS_PROVIDERS_FILE names.",
    },
  },
  Listeners: {
    NEXUS_PORT_BASE: {
      kind: count("port", 1, 65_532),
      unset: "each listener's default",
      meaning:
        "For a second daemon of the same user: port of http; browser, ops, and console use the next three. Commands need it too.",
    },
    NEXUS_GRPC_LISTEN: {
      kind: addresses({ canClose: true }),
      unset: "unix:<data-dir>/nexus.sock",
      meaning:
        "Addresses for agents: gRPC, gRPC-Web, Connect, and JSON, or off. A host:port alone keeps the socket.",
      isFirst: true,
    },
    NEXUS_HTTP_LISTEN: {
      kind: addresses({ canClose: true }),
      default: "127.0.0.1:8090",
      atPortBase: (base) => `127.0.0.1:${base}`,
      meaning: "Addresses of REST and all that grpc serves, or off.",
      isFirst: true,
    },
    NEXUS_BROWSER_LISTEN: {
      kind: addresses({ canClose: false }),
      default: "127.0.0.1:8080",
      atPortBase: (base) => `127.0.0.1:${base + 1}`,
      meaning: "Addresses of the consent pages. Cannot be off.",
      isFirst: true,
    },
    NEXUS_OPS_LISTEN: {
      kind: addresses({ canClose: true }),
      default: "127.0.0.1:9090",
      atPortBase: (base) => `127.0.0.1:${base + 2}`,
      meaning: "Addresses of /livez, /readyz, /metrics, and /status, or off. nexusd health needs it.",
    },
    NEXUS_TLS_CERT_FILE: {
      kind: path("file"),
      meaning:
        "PEM: the listeners' certificate, then intermediates. TCP addresses then use TLS. TLS files are reread on change.",
      isFirst: true,
    },
    NEXUS_TLS_KEY_FILE: {
      kind: path("file"),
      meaning: "PEM: private key of that certificate, without a passphrase.",
      isFirst: true,
    },
    ...listenerSettings(coreListeners),
    NEXUS_SOCKET_MODE: {
      kind: socketMode,
      default: "0600",
      meaning:
        "Mode of the Unix sockets. If wider than 0600 (Linux, macOS), other users can call as uid:<number>.",
    },
  },
  Callers: {
    NEXUS_POLICY_FILE: {
      kind: path("file"),
      flag: "--policy",
      unset: "none: only the socket's owner, admin.key, and API keys have access",
      meaning:
        "Roles and rules for callers, YAML or JSON. Reread on change and SIGHUP; an invalid change is ignored.",
      isFirst: true,
    },
    NEXUS_ADMIN_KEY_FILE: {
      kind: path("file"),
      unset: "<data-dir>/admin.key, created on first start",
      meaning: "The admin's API key, at least 20 characters.",
    },
  },
  Consent: {
    NEXUS_PUBLIC_URL: {
      kind: publicUrl,
      default: "http://localhost:8080",
      atPortBase: (base) => `http://localhost:${base + 1}`,
      meaning:
        "The browser listener's public URL: https (http on loopback), optionally with a path. Redirect URIs start with <public-url>/auth/callback.",
      isFirst: true,
    },
    NEXUS_ALLOWED_RETURN_URLS: {
      kind: origins,
      default: "",
      meaning:
        "Where users may return after consent: origins, comma-separated, https (http on loopback). In `https://*.example.com`, * is one label.",
    },
    NEXUS_SHARED_REDIRECT_URI: {
      kind: toggle,
      default: "false",
      meaning:
        "Give new oauth2 profiles the redirect URI of Nexus, <public-url>/auth/callback. Only if you trust every provider: only iss then reveals a mix-up attack, and many do not send it.",
    },
    NEXUS_REQUIRE_CONFIRMATION: {
      kind: toggle,
      default: "false",
      meaning: "Every consent needs a return URL; its token is readable only after ConfirmConnection.",
    },
    NEXUS_OTHER_ACCOUNT: {
      kind: word("word", ["refuse", "accept"]),
      default: "refuse",
      meaning:
        "If the user consents again with another account: refuse keeps the old one, accept switches. Needs a provider that identifies accounts.",
    },
  },
  Providers: {
    NEXUS_PROVIDERS_FILE: {
      kind: path("file"),
      flag: "--providers",
      meaning: "Manifest of providers. Applied at start, on change, and on SIGHUP.",
      isFirst: true,
    },
    NEXUS_CATALOG_FILE: {
      kind: path("file"),
      flag: "--catalog",
      meaning: "Your provider templates, YAML or JSON. They replace built-in ones of the same name.",
    },
    NEXUS_ALLOW_LOOPBACK_PROVIDERS: {
      kind: loopback,
      default: "false",
      meaning:
        "For development: allow providers on this machine, also over http: true, or ports, comma-separated.",
    },
    NEXUS_ALLOWED_PRIVATE_NETWORKS: {
      kind: networks,
      default: "",
      meaning:
        "Private networks where providers may run, over https: CIDR blocks, host names, *.suffixes, comma-separated.",
    },
    HTTPS_PROXY: {
      kind: webProxy,
      flag: false,
      meaning:
        "Proxy for requests to providers and through egress: http://[user:password@]host:port, or https:// for TLS. Lower-case names work, too. Never used for this machine.",
    },
    HTTP_PROXY: {
      kind: webProxy,
      flag: false,
      meaning: "Proxy for plain http through egress.",
    },
    NO_PROXY: {
      kind: withoutProxy,
      default: "",
      flag: false,
      meaning:
        "Hosts to reach directly, comma-separated: names with all below them, addresses, CIDR blocks, or *.",
    },
    NEXUS_CLIENT_ASSERTION_FILES: {
      kind: namedFiles,
      default: "",
      meaning:
        "JWTs that authenticate nexusd to providers: name=/path, comma-separated, for a profile's client_assertion_source. Read for each request.",
    },
    NEXUS_SIGNING_KEY_FILES: {
      kind: namedFiles,
      default: "",
      meaning:
        "Private keys of clients (PEM, JWK, or a key file): name=/path, comma-separated, for a profile's client_key_source. Read for each signed request.",
    },
    NEXUS_API_CA_FILES: {
      kind: namedFiles,
      default: "",
      meaning:
        "CA certificates (PEM): name=/path, comma-separated, for a profile's api_ca_file; trusted for that provider only. Read for each request. Also for nexusd run, curl, and mcp, where they run.",
    },
  },
  "Logs, audit, and shutdown": {
    NEXUS_LOG_LEVEL: {
      kind: word("level", ["trace", "debug", "info", "warn", "error"]),
      default: "info",
      meaning: "Lowest level to log.",
    },
    NEXUS_LOG_FORMAT: {
      kind: word("format", ["json", "pretty"]),
      unset: "pretty on a terminal, else json",
      meaning: "Format of log lines.",
    },
    NEXUS_AUDIT_MAX_EVENTS: {
      kind: count("count", 100, 999_999_999),
      default: "100000",
      meaning: "Audit events to keep; they can still be verified.",
    },
    NEXUS_AUDIT_MAX_AGE: { kind: age, default: "365d", meaning: "How long to keep audit events." },
    NEXUS_DRAIN_TIMEOUT_MS: {
      kind: count("milliseconds", 100, 300_000),
      default: "4000",
      meaning: "After SIGTERM, time for streams, calls, and refreshes to finish before they are aborted.",
    },
  },
} as const satisfies SettingGroups;
