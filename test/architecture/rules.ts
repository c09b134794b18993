/** A layer is a folder of src/. `daemon` (a file and the folder of its pieces) and `main` wire. */
export const layers = {
  runtime: ["runtime"],
  model: ["model", "runtime"],
  gen: ["gen"],
  config: ["config", "model", "runtime"],
  // Verifies callers' JWTs. It fetches the keys of the one issuer that the operator configures, never of a provider: so
  // it has a client of its own, with that issuer's CA, and no part in the rules for hosts that a profile names.
  identity: ["identity", "model", "runtime"],
  vault: ["vault", "model", "runtime"],
  telemetry: ["telemetry", "model", "runtime"],
  store: ["store", "model", "runtime", "gen"],
  oauth: ["oauth", "model", "runtime"],
  domain: ["domain", "store", "vault", "oauth", "telemetry", "catalogue", "strategies", "model", "runtime"],
  service: ["service", "domain", "model", "runtime", "gen"],
  server: ["server", "service", "domain", "telemetry", "model", "runtime", "gen"],
  strategies: ["strategies", "model", "runtime"],
  catalogue: ["catalogue", "model", "runtime"],
  document: ["document", "model", "runtime"],
  manifest: ["manifest", "document", "model", "runtime"],
  policy: ["policy", "document", "model", "runtime"],
  cli: [
    "cli",
    "config",
    "model",
    "runtime",
    "gen",
    "daemon",
    "catalogue",
    "strategies",
    "document",
    "manifest",
    "policy",
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
  "@bufbuild/protobuf": ["gen", "store", "service", "server", "cli"],
  "@bufbuild/protovalidate": ["gen", "service"],
  "@aws-crypto/sha256-js": ["strategies"],
  "@opentelemetry/api": ["telemetry"],
  "@opentelemetry/core": ["telemetry"],
  "@opentelemetry/exporter-trace-otlp-proto": ["telemetry"],
  "@opentelemetry/resources": ["telemetry"],
  "@opentelemetry/sdk-trace-base": ["telemetry"],
  "@smithy/signature-v4": ["strategies"],
  ajv: ["domain", "catalogue"],
  "ajv-formats": ["domain", "catalogue"],
  re2js: ["domain", "catalogue"],
  yaml: ["document", "manifest", "catalogue"],
  "@connectrpc/connect": ["server", "cli"],
  "@connectrpc/connect-node": ["server", "cli"],
  "@grpc/grpc-js": ["server"],
  "@grpc/reflection": ["server"],
  commander: ["cli"],
  "env-paths": ["config"],
  "fs-native-extensions": ["store"],
  "grpc-health-check": ["server"],
  "ipaddr.js": ["model"],
  jose: ["identity"],
  koffi: ["server"],
  limiter: ["service"],
  lmdb: ["store"],
  oauth4webapi: ["oauth"],
  open: ["cli"],
  pino: ["telemetry"],
  "pino-pretty": ["telemetry"],
  "prom-client": ["telemetry"],
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
  // Loads what most daemons never need when it is first needed.
  "node:module": ["server"],
  "node:http": ["server", "cli", "oauth", "identity"],
  "node:https": ["cli", "oauth", "identity"],
  "node:http2": ["server"],
  "node:net": ["server", "cli", "oauth"],
  "node:tls": ["server", "cli", "oauth"],
  "node:child_process": ["vault"],
  "node:diagnostics_channel": ["store"],
  "node:dns": ["oauth"],
  "node:dns/promises": ["oauth"],
  "node:readline": ["cli"],
  "node:readline/promises": ["cli"],
  "node:perf_hooks": ["runtime"],
  "node:timers": ["runtime"],
  "node:timers/promises": ["runtime"],
  "node:zlib": ["oauth"],
};

/** Globals and functions with an owner. These hold for daemon/daemon.ts and main.ts too, and nowhere in generated code. */
export const owned = {
  /** `process.env`, read as a property, by destructuring or through an alias of `process`. */
  environment: ["config"],
  /** `Date.now`, `new Date()` without arguments, `performance`, `process.hrtime`. */
  clock: ["runtime"],
  /** `setTimeout`, `setInterval`. */
  timers: ["runtime"],
  /** The global `fetch`. */
  fetch: ["oauth"],
  /** `createCipheriv`, `createDecipheriv`. */
  ciphers: ["vault"],
} as const satisfies Record<string, readonly Layer[]>;

export type OwnedThing = keyof typeof owned;

/** Names that say nothing about what is inside. */
export const forbiddenFileNames = ["index.ts"];
export const forbiddenFolderNames = ["utils", "helpers", "common"];
