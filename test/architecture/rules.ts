/** A layer is a folder of src/ with all that is below it. `daemon` and `main` wire. Only `ext/` and `main` may name an extension. */
export const layers = {
  runtime: ["runtime"],
  model: ["model", "runtime", "gen"],
  gen: ["gen"],
  config: ["config", "outbound", "model", "runtime"],
  vault: ["vault", "model", "runtime"],
  telemetry: ["telemetry", "model", "runtime"],
  store: ["store", "model", "runtime", "gen"],
  // The one HTTP client that calls providers, and which addresses it may call.
  outbound: ["outbound", "model", "runtime"],
  oauth: ["oauth", "outbound", "model", "runtime"],
  domain: [
    "domain",
    "store",
    "vault",
    "oauth",
    "outbound",
    "telemetry",
    "catalogue",
    "strategies",
    "model",
    "runtime",
  ],
  service: ["service", "domain", "model", "runtime", "gen"],
  server: ["server", "service", "domain", "telemetry", "model", "runtime", "gen"],
  strategies: ["strategies", "model", "runtime"],
  catalogue: ["catalogue", "document", "model", "runtime"],
  document: ["document", "model", "runtime"],
  // What extensions, commands and the daemon build on.
  core: [
    "core",
    "server",
    "service",
    "domain",
    "store",
    "vault",
    "oauth",
    "outbound",
    "telemetry",
    "config",
    "catalogue",
    "strategies",
    "document",
    "model",
    "runtime",
    "gen",
  ],
  cli: ["cli", "core", "config", "model", "runtime", "gen", "daemon", "catalogue", "strategies", "document"],
  // Each folder of it is an extension: it imports the core and itself, and nothing but `ext/extensions.ts` imports it.
  ext: [
    "ext",
    "core",
    "cli",
    "daemon",
    "server",
    "service",
    "domain",
    "store",
    "vault",
    "oauth",
    "outbound",
    "telemetry",
    "config",
    "catalogue",
    "strategies",
    "document",
    "model",
    "runtime",
    "gen",
  ],
  daemon: "anything",
  main: "anything",
} as const satisfies Record<string, readonly string[] | "anything">;

export type Layer = keyof typeof layers;

/**
 * Who may import a package (its subpaths included). A package that is not listed may be imported by nobody: whoever
 * needs a new one decides here which layer owns it.
 */
export const packages: Record<string, readonly Layer[]> = {
  // Conditions of the policy file.
  "@bufbuild/cel": ["ext"],
  "@bufbuild/cel-spec": ["ext"],
  "@bufbuild/protobuf": ["gen", "model", "store", "service", "server", "cli", "ext"],
  "@bufbuild/protovalidate": ["gen", "service", "ext"],
  "@aws-crypto/sha256-js": ["strategies"],
  "@modelcontextprotocol/server": ["ext"],
  "@peculiar/asn1-schema": ["server"],
  "@peculiar/asn1-x509": ["server"],
  "@peculiar/x509": ["server"],
  "reflect-metadata": ["server"],
  "@opentelemetry/api": ["ext"],
  "@opentelemetry/core": ["ext"],
  "@opentelemetry/exporter-trace-otlp-proto": ["ext"],
  "@opentelemetry/resources": ["ext"],
  "@opentelemetry/sdk-trace-base": ["ext"],
  "@smithy/signature-v4": ["strategies"],
  ajv: ["domain", "catalogue"],
  "ajv-formats": ["domain", "catalogue"],
  re2js: ["domain", "catalogue", "ext"],
  yaml: ["document", "ext"],
  "@clack/prompts": ["cli"],
  "@connectrpc/connect": ["server", "cli", "ext"],
  "@connectrpc/connect-node": ["cli", "ext"],
  commander: ["cli", "ext"],
  "env-paths": ["config"],
  "fs-native-extensions": ["store"],
  hono: ["server", "ext"],
  "ipaddr.js": ["outbound"],
  jose: ["oauth", "ext"],
  koffi: ["runtime"],
  // Configurations of other programs, whose comments and form stay.
  "jsonc-parser": ["ext"],
  limiter: ["service"],
  lmdb: ["store"],
  oauth4webapi: ["oauth", "ext"],
  open: ["cli"],
  pg: ["ext"],
  pino: ["telemetry"],
  "pino-pretty": ["telemetry"],
  "prom-client": ["telemetry"],
  "toml-eslint-parser": ["ext"],
  // Passkeys of approvers.
  "@simplewebauthn/server": ["ext"],
  zod: ["ext"],
};

/** Who may import a builtin; as above, one that is not listed has no owner yet. */
const everyone = Object.keys(layers) as Layer[];
const withInputOutput = everyone.filter((layer) => !["model", "runtime", "gen"].includes(layer));
export const builtins: Record<string, readonly Layer[]> = {
  "node:async_hooks": everyone,
  "node:buffer": everyone,
  "node:crypto": everyone,
  "node:events": everyone,
  "node:url": everyone,
  "node:util": everyone,
  "node:fs": withInputOutput,
  "node:fs/promises": withInputOutput,
  "node:os": withInputOutput,
  "node:path": withInputOutput,
  "node:stream": withInputOutput,
  "node:stream/promises": withInputOutput,
  "node:stream/consumers": ["ext"],
  "node:http": ["server", "cli", "outbound", "ext"],
  "node:https": ["cli", "outbound", "ext"],
  "node:http2": ["server", "ext"],
  "node:net": ["server", "cli", "outbound", "ext"],
  "node:tls": ["server", "cli", "outbound", "ext"],
  "node:child_process": ["vault", "cli", "ext"],
  "node:diagnostics_channel": ["store"],
  "node:dns": ["outbound", "ext"],
  "node:dns/promises": ["outbound"],
  "node:readline": ["cli"],
  "node:readline/promises": ["cli"],
  "node:perf_hooks": ["runtime"],
  "node:timers": ["runtime"],
  "node:timers/promises": ["runtime"],
  "node:zlib": ["outbound", "server"],
};

/** Globals and functions with an owner. These hold for daemon/daemon.ts and main.ts too, and nowhere in generated code. */
export const owned = {
  /** `process.env`, read as a property, by destructuring or through an alias of `process`. */
  environment: ["config"],
  /** `Date.now`, `new Date()` without arguments, `performance`, `process.hrtime`. */
  clock: ["runtime"],
  /** `setTimeout`, `setInterval`. */
  timers: ["runtime"],
  /** The global `fetch`, and what is named like it. */
  fetch: ["oauth", "outbound"],
  /** `process.platform`. */
  platform: ["runtime"],
  /** `createCipheriv`, `createDecipheriv`. */
  ciphers: ["vault"],
} as const satisfies Record<string, readonly Layer[]>;

export type OwnedThing = keyof typeof owned;

/**
 * Members that begin with `_` belong to those who wrote them, and change without notice: nobody reads one of a library's, whatever it is
 * cast to. By file, those of Node for which there is no other way.
 */
export const allowedPrivateMembers: Record<string, readonly string[]> = {
  // The descriptor of a socket, to ask the kernel who is at its other end.
  "server/sockets/socket_notes.ts": ["_handle"],
  // A field of the Model Context Protocol, which is called so.
  "ext/mcp/tools/api_tool.ts": ["_meta"],
  "ext/mcp/tools/consent_wait.ts": ["_meta"],
};

/**
 * The doors of the core: the files of it that extensions import, by folder. Each is the one door of its room, which says what the room
 * offers. They only get fewer: an extension that needs one more shows that the core lacks a registry or a function.
 */
export const doors: Readonly<Record<string, string>> = {
  catalogue: "catalogue",
  cli: "kit",
  config: "config",
  core: "core registry",
  document: "document",
  "domain/access": "access",
  "domain/connections": "connections",
  "domain/consent": "consent",
  "domain/grants": "grants",
  "domain/operations": "operations",
  "domain/profiles": "profiles",
  "domain/reading": "reading",
  "domain/token_endpoint": "token_endpoint",
  "domain/use": "use",
  model: "model",
  "model/access": "access",
  "model/connections": "connections",
  "model/credentials": "credentials",
  "model/providers": "providers",
  oauth: "oauth",
  outbound: "outbound",
  runtime: "runtime",
  server: "kit",
  "server/pages": "kit",
  service: "service",
  "service/messages": "messages",
  store: "store",
  strategies: "strategies",
  vault: "vault",
};

/**
 * The rooms of the domain, in their line: a room imports those before it, and of each its door alone, the file of its name. So do all others.
 * What is used, committed, allowed, sent to authorization servers, known of a provider, obtained, asked, obtained without asking, and read.
 */
export const rooms = [
  "use",
  "connections",
  "access",
  "token_endpoint",
  "profiles",
  "grants",
  "consent",
  "provisioning",
  "reading",
  "operations",
] as const;

/** Names of extensions that are nouns of the core as well: there, they name no extension. */
export const nounsOfCore = [
  "backup",
  "client_keys",
  "completion",
  "grants",
  "identity",
  // The protocol, whose servers are providers.
  "mcp",
  // Of the process, too.
  "memory",
  "policy",
  "tracing",
  "watch",
];

/**
 * Where the core says a word that is the name of an extension as well, by that word: why that names no extension, or why it must. It only gets
 * shorter.
 */
export const namedExtensions: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  console: {
    "cli/providers/provider_create.ts": "that of a provider",
    "cli/providers/provider_templates.ts": "that of a provider",
    "config/rows/daemon_settings.ts":
      "that of a provider; and one of the ports that the base of ports counts",
    "model/access/access_table.ts": "an action: what each role may do is read in one table",
    "model/errors.ts": "a reason of the contract, which is a closed list",
  },
  egress: {
    "cli/admin/keys.ts": "what to do with a key that gets no token",
    "config/rows/daemon_settings.ts": "which requests a web proxy gets",
    "domain/access/request_rules.ts": "a reason of the contract, and what to do then",
    "model/credentials/credential.ts": "the kind of a sealed record, which is bound into those that exist",
    "model/errors.ts": "a reason of the contract, which is a closed list",
  },
  fleet: {
    "model/access/access_table.ts": "an action: what each role may do is read in one table",
    "service/services/lead_control_service.ts": "the service of the contract by which the lead is given back",
    "vault/sealing_key.ts": "a label of HKDF, which hubs of two versions share",
  },
  keyring: {
    "cli/shell/call_failure.ts": "what to do after a reason of the contract",
    "domain/operations/key_check.ts": "where to look up which key can go",
    "model/access/access_table.ts": "an action: what each role may do is read in one table",
  },
  manifest: {
    "config/rows/daemon_settings.ts": "the file of providers has the form of a manifest",
    "model/access/api_labels.ts": "a method of Slack",
    "model/access/api_reads.ts": "a method of Slack",
  },
  mcp_servers: { "domain/profiles/mcp_lookup.ts": "not moved yet" },
  systemd: { "daemon/make_listeners.ts": "where to raise a limit" },
};

/** Names that say nothing about what is inside. */
export const forbiddenFileNames = ["index.ts"];
export const forbiddenFolderNames = ["utils", "helpers", "common"];

/** What a newcomer can hold in mind. A file is as long as its idea; folders count the files that lie in them, generated ones aside. */
export const limits = {
  filesInFolder: 25,
  linesOfFile: 500,
  /** From the line of its name or arrow to its last. */
  linesOfFunction: 60,
} as const;
