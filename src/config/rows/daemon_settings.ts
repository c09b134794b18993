import {
  addresses,
  listeners,
  listenersOrToggle,
  networks,
  origin,
  origins,
  publicUrl,
  socketMode,
} from "../kinds/address_kinds.js";
import { keyCommand, keysOrCommand } from "../kinds/key_kinds.js";
import {
  age,
  count,
  namedFiles,
  path,
  type SettingGroups,
  text,
  toggle,
  word,
} from "../kinds/setting_kinds.js";

const listenerOff = "off closes it.";

/** What the daemon is, as opposed to what limits it and how the commands reach it. */
export const daemonSettings = {
  "Data and keys": {
    NEXUS_DATA_DIR: {
      kind: path("folder"),
      unset: "the platform's data folder for nexusd",
      meaning: "Holds the store, the keys and the socket; made with mode 0700.",
      isFirst: true,
    },
    NEXUS_ENCRYPTION_KEY: {
      kind: keysOrCommand,
      flag: false,
      meaning:
        "The key that seals the store: base64 of 32 bytes; or a ring of keys, separated by commas, the newest last; or exec: and a command, as in NEXUS_ENCRYPTION_KEY_COMMAND. Set one of the three.",
    },
    NEXUS_ENCRYPTION_KEY_FILE: {
      kind: path("file"),
      unset: "<data-dir>/encryption.key, made on first start",
      meaning:
        "The file that holds the key that seals the store, or a ring: one key a line, the newest last, # begins a comment.",
      isFirst: true,
    },
    NEXUS_ENCRYPTION_KEY_COMMAND: {
      kind: keyCommand,
      meaning:
        "A program that prints the key that seals the store, or a ring as in the file. It runs without a shell: white space separates words, quotes keep a word together, nothing is replaced. It has 30 s and 64 KiB, and no variable that NEXUS_PROVIDERS_FILE names.",
    },
  },
  Listeners: {
    NEXUS_PORT_BASE: {
      kind: count("port", 1, 65_532),
      unset: "the defaults of the settings below",
      meaning:
        "For a second daemon of the same user: the default port of the http listener. The browser, ops, and console listeners use the next three ports, and the name of the data folder ends with this port. Commands find that daemon by the same setting.",
    },
    NEXUS_GRPC_LISTEN: {
      kind: addresses({ canClose: true }),
      unset: "unix:<data-dir>/nexus.sock",
      meaning: `The listener for agents, gRPC, gRPC-Web, Connect and JSON: a comma list of host:port or unix:path; host:port alone keeps the socket; ${listenerOff}`,
      isFirst: true,
    },
    NEXUS_HTTP_LISTEN: {
      kind: addresses({ canClose: true }),
      default: "127.0.0.1:8090",
      atPortBase: (base) => `127.0.0.1:${base}`,
      meaning: `The listener for REST, and for all that the grpc listener takes; ${listenerOff}`,
      isFirst: true,
    },
    NEXUS_BROWSER_LISTEN: {
      kind: addresses({ canClose: false }),
      default: "127.0.0.1:8080",
      atPortBase: (base) => `127.0.0.1:${base + 1}`,
      meaning: "The listener for a person's browser; it cannot be closed.",
      isFirst: true,
    },
    NEXUS_OPS_LISTEN: {
      kind: addresses({ canClose: true }),
      default: "127.0.0.1:9090",
      atPortBase: (base) => `127.0.0.1:${base + 2}`,
      meaning: `The listener of /livez, /readyz, /metrics and the page /status; nexusd health asks here; ${listenerOff}`,
    },
    NEXUS_CONSOLE_LISTEN: {
      kind: addresses({ canClose: true }),
      default: "127.0.0.1:0",
      atPortBase: (base) => `127.0.0.1:${base + 3}`,
      meaning: `The listener of the console, the pages that nexusd open leads to; not for the internet. Port 0 is a free one, the same at each start where nobody else took it; ${listenerOff}`,
    },
    NEXUS_CONSOLE_URL: {
      kind: origin,
      unset: "the first TCP address of NEXUS_CONSOLE_LISTEN",
      meaning:
        "How a person's browser reaches the console listener: https (http on loopback), without a path. With https its cookie is one that no other host can set.",
    },
    NEXUS_TLS_CERT_FILE: {
      kind: path("file"),
      meaning:
        "PEM: the certificate of the listeners, and those that lead to its root. With it, TCP addresses speak TLS. It is read again when it changes, as are the other two TLS files.",
      isFirst: true,
    },
    NEXUS_TLS_KEY_FILE: {
      kind: path("file"),
      meaning: "PEM: the private key of the certificate of the listeners, without a passphrase.",
      isFirst: true,
    },
    NEXUS_TLS_CLIENT_CA_FILE: {
      kind: path("file"),
      meaning:
        "PEM: the CAs whose client certificates are trusted at the grpc, the http and the egress listener. The caller is then cert:<SPIFFE ID> or cert:<subject>.",
    },
    NEXUS_TLS_CLIENT_AUTH: {
      kind: word("word", ["none", "optional", "require"]),
      unset: "optional with NEXUS_TLS_CLIENT_CA_FILE, else none",
      meaning: "Whether the grpc, the http and the egress listener ask for a client certificate.",
    },
    NEXUS_TLS_LISTENERS: {
      kind: listeners,
      default: "grpc,http,browser,ops,egress",
      meaning:
        "The listeners whose TCP addresses speak TLS when there is a certificate: grpc, http, browser, ops, egress and console.",
    },
    NEXUS_INSECURE: {
      kind: listenersOrToggle,
      default: "false",
      meaning:
        "Listeners that may speak plain text beyond this machine, behind a proxy with TLS: a comma list of grpc, http, browser, ops, console, egress; true is all.",
    },
    NEXUS_SOCKET_MODE: {
      kind: socketMode,
      default: "0600",
      meaning:
        "Mode of the Unix sockets. With a mode wider than 0600 (Linux), another user of the machine is the caller uid:<number>.",
    },
  },
  Callers: {
    NEXUS_POLICY_FILE: {
      kind: path("file"),
      flag: "--policy",
      unset:
        "none: the owner of the socket and admin.key are admin, an API key has its own role, others may do nothing",
      meaning:
        "Who may do what, YAML or JSON: read at start, when it changes and on SIGHUP. A broken file stops the start; later it changes nothing.",
      isFirst: true,
    },
    NEXUS_ADMIN_KEY_FILE: {
      kind: path("file"),
      unset: "<data-dir>/admin.key, made on first start",
      meaning:
        "The file that holds the admin's API key, at least 20 characters. A file that is named must exist.",
    },
    NEXUS_JWT_ISSUER: {
      kind: text("url"),
      meaning:
        "Callers may present JSON Web Tokens of this issuer, as Kubernetes projects them into pods; they are jwt:<sub>. Needs NEXUS_JWT_AUDIENCE.",
    },
    NEXUS_JWT_AUDIENCE: { kind: text("text"), meaning: "The audience that such a token must be issued for." },
    NEXUS_JWT_JWKS_FILE: {
      kind: path("file"),
      meaning: "A JSON Web Key Set: the issuer's public keys. It is read again when it changes.",
    },
    NEXUS_JWT_JWKS_URL: {
      kind: text("url"),
      unset: "from the issuer's discovery document",
      meaning: "Where the issuer publishes its keys: https. Not together with NEXUS_JWT_JWKS_FILE.",
    },
    NEXUS_JWT_CA_FILE: {
      kind: path("file"),
      unset: "the CAs of Node",
      meaning: "PEM: the CAs to trust when the keys are fetched, such as that of a cluster.",
    },
    NEXUS_JWT_TOKEN_FILE: {
      kind: path("file"),
      meaning:
        "Holds the bearer token to fetch the keys with, where the issuer asks for one. It is sent to the host of the settings above only.",
    },
  },
  Consent: {
    NEXUS_PUBLIC_URL: {
      kind: publicUrl,
      default: "http://localhost:8080",
      atPortBase: (base) => `http://localhost:${base + 1}`,
      meaning:
        "How a person's browser reaches the browser listener: https (http on loopback), a path prefix is allowed. Redirect URIs begin with <public-url>/auth/callback.",
      isFirst: true,
    },
    NEXUS_ALLOWED_RETURN_URLS: {
      kind: origins,
      default: "",
      meaning: "Where a person may be sent after consent: a comma list of origins, https (http on loopback).",
    },
    NEXUS_SHARED_REDIRECT_URI: {
      kind: toggle,
      default: "false",
      meaning:
        "true: new oauth2 profiles get <public-url>/auth/callback, the redirect URI of the existing Nexus, so that nothing changes in the providers' consoles. Only where every provider is trusted: one that answers for another (a mix-up) is noticed by its iss alone, and many send none.",
    },
    NEXUS_REQUIRE_CONFIRMATION: {
      kind: toggle,
      default: "false",
      meaning:
        "true: every consent needs a return URL, and its token is readable only after ConfirmConnection, whatever its request says.",
    },
    NEXUS_OTHER_ACCOUNT: {
      kind: word("word", ["refuse", "accept"]),
      default: "refuse",
      meaning:
        "What happens if a new consent is by another account at the provider. With refuse, the connection stays as it was. With accept, it takes the new account, and the page and the audit log report it. It needs a provider that identifies accounts.",
    },
  },
  Providers: {
    NEXUS_PROVIDERS_FILE: {
      kind: path("file"),
      flag: "--providers",
      meaning:
        "A manifest of providers, as nexusd providers apply takes it: applied at start, when it changes and on SIGHUP. A missing file stops the start.",
      isFirst: true,
    },
    NEXUS_CATALOG_FILE: {
      kind: path("file"),
      flag: "--catalog",
      meaning:
        "Provider templates of your own, YAML or JSON. They stand beside the built-in ones, and replace those of the same name.",
    },
    NEXUS_ALLOW_LOOPBACK_PROVIDERS: {
      kind: toggle,
      default: "false",
      meaning:
        "For development: providers may run on this machine, over plain http too. Otherwise a URL of a profile that leads to this machine is refused.",
    },
    NEXUS_ALLOWED_PRIVATE_NETWORKS: {
      kind: networks,
      default: "",
      meaning:
        "Where providers may run besides the public internet, over https: a comma list of CIDR blocks inside the private ranges, host names and *.suffixes.",
    },
    NEXUS_CLIENT_ASSERTION_FILES: {
      kind: namedFiles,
      default: "",
      meaning:
        "Files with a JWT by which the daemon authenticates to providers, as a comma list of name=/path. Profiles with client_assertion_file name one of them. They are read for each request, up to 16 KiB.",
    },
    NEXUS_SIGNING_KEY_FILES: {
      kind: namedFiles,
      default: "",
      meaning:
        "Files with the private key of a client, as a comma list of name=/path: profiles name one of them as client_key_source. They are read for each signed request, up to 64 KiB, as PEM, JWK, or a key file. The start warns about a file that other users can read.",
    },
    NEXUS_PROXIES: {
      kind: toggle,
      default: "false",
      meaning:
        "Serves proxies that add credentials to requests: Envoy's external authorization and secret discovery, and GET /v1/authorize/ for nginx, Caddy and Traefik. On a spoke it must be set at the hub too.",
    },
    NEXUS_SDS_PREFIX: {
      kind: text("text", (value) =>
        /^[A-Za-z0-9._-]{1,64}(\/[A-Za-z0-9._-]{1,64}){0,3}$/.test(value)
          ? undefined
          : "must be letters, digits, dots, underscores and hyphens, in up to four parts with slashes between them",
      ),
      default: "nexus",
      meaning: "What the names of Envoy's secrets begin with: nexus/<connection id>/header.",
    },
  },
  "Logs, audit, and shutdown": {
    NEXUS_LOG_LEVEL: {
      kind: word("level", ["trace", "debug", "info", "warn", "error"]),
      default: "info",
      meaning: "The least level that is logged.",
    },
    NEXUS_LOG_FORMAT: {
      kind: word("format", ["json", "pretty"]),
      unset: "pretty on a terminal, else json",
      meaning: "How log lines are written.",
    },
    NEXUS_AUDIT_MAX_EVENTS: {
      kind: count("count", 100, 999_999_999),
      default: "100000",
      meaning: "How many audit events are kept. Older ones are pruned, and the rest still verifies.",
    },
    NEXUS_AUDIT_MAX_AGE: { kind: age, default: "365d", meaning: "How long audit events are kept." },
    NEXUS_DRAIN_TIMEOUT_MS: {
      kind: count("milliseconds", 100, 300_000),
      default: "4000",
      meaning:
        "How long, after SIGTERM, streams, calls and refreshes in progress may take to end. What takes longer is cut off.",
    },
  },
} as const satisfies SettingGroups;
