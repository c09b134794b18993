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
  "@connectrpc/connect-node": ["server", "cli", "ext"],
  commander: ["cli", "ext"],
  "env-paths": ["config"],
  "fs-native-extensions": ["store"],
  hono: ["server", "ext"],
  "ipaddr.js": ["outbound"],
  jose: ["oauth", "ext"],
  koffi: ["daemon", "server", "ext"],
  limiter: ["service"],
  lmdb: ["store"],
  oauth4webapi: ["oauth", "ext"],
  open: ["cli"],
  pg: ["ext"],
  pino: ["telemetry"],
  "pino-pretty": ["telemetry"],
  "prom-client": ["telemetry"],
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
  "server/sockets/descriptors.ts": ["_handle"],
  // A field of the Model Context Protocol, which is called so.
  "ext/mcp/tools/api_tool.ts": ["_meta"],
  "ext/mcp/tools/consent_wait.ts": ["_meta"],
};

/**
 * The files of the core that extensions import, by folder. It only gets shorter, down to 30: an extension that needs one more shows that the
 * core lacks a registry or a function.
 */
export const doors: Readonly<Record<string, string>> = {
  catalogue: "catalogue catalogue_error",
  "cli/admin": "keys lease",
  "cli/connections": "connection_key token_stream",
  "cli/consent": "remote_machine",
  "cli/credentials": "api_arguments authorized_request read_credential shown_request",
  "cli/daemon": "fleet_text",
  "cli/providers": "provider_key provider_words",
  "cli/shell":
    "call_failure client command_failure confirm daemon_command files help http_request option_values setting_options shell text",
  "cli/terminal": "progress screen",
  config: "config setting_reader settings version",
  "config/kinds": "address_kinds key_kinds setting_kinds",
  core: "exit_codes",
  daemon: "daemon_hub extension open_vault resources wire_domain",
  "daemon/hub": "hub_interfaces",
  document: "document_error kept_file named_variables yaml_document",
  "domain/access": "access_control connection_names presented_credentials request_rules",
  "domain/connections/state": "quotas",
  "domain/consent": "consent_outcomes consent_request",
  "domain/credentials": "associated_data credential_reader credential_vault parts",
  "domain/operations": "key_check keyring restored_records sealed_records",
  "domain/providers": "mcp_lookup mcp_server_names provider_registry",
  "domain/refresh": "refresh_outcome refresher request_slots",
  "domain/refresh/journal": "spool_recovery token_spool",
  "domain/token_endpoint": "client_keys grant_type grant_types issuer_metadata token_endpoint_client",
  "domain/tokens": "demanded_refresh downscoping read_audit token_proofs tokens",
  "domain/tokens/report": "rejected_tokens",
  "domain/tokens/watch": "conflating_subscriber subscribers",
  model:
    "errors header_name ids json json_fields json_object limits listen_address problem_reason quantity_text suggestions template_search tracing",
  "model/access":
    "access_table audit_event canonical_request permissions policy principal reading_requests request_facts rules scope_restriction service_account",
  "model/clients": "client_key client_proof",
  "model/connections":
    "connection connection_name daemon_status grant_binding new_connection spooled_token_set",
  "model/credentials": "account client_registration credential refusal strategy strategy_config",
  "model/mcp": "mcp_server_url",
  "model/providers":
    "contract_profile contract_strategy grant_type profile_fields profile_json profile_settings provider_profile redirect_path strategy_message suspension",
  oauth:
    "authorization_request authorization_server client_assertion client_authentication discovery failure id_token jwt pkce token_response",
  "oauth/dpop": "dpop_nonces",
  "oauth/grants": "identity_required minted_token renewal",
  "oauth/resource": "authentication_challenge",
  outbound:
    "address_judge json_response network_words outbound outbound_address outbound_exchange outbound_socket provider_networks provider_reach proxy_tunnel retry_after socket_ready web_proxy",
  runtime:
    "at_most_each_minute backoff bounded_map changes clock due_worker keyed_mutex log refused_call secret single_flight steady_sessions stream_sink",
  server: "listeners",
  "server/api": "api_listener",
  "server/callers": "api_key binding_cookie caller_trace",
  "server/connect": "json_answer wire_answer",
  "server/listen": "http_listener http_message listener listener_limits pipelining stream_listener",
  "server/pages": "browser_pages browser_request page_words pages",
  "server/sockets": "address_key descriptors peer socket_guard",
  "server/standard": "open_streams",
  "server/tls": "authority tls_listener tls_pair",
  "server/views": "fields tokens view",
  "service/forwarding": "on_behalf or_else wire_status",
  "service/messages": "connection_message provider_message shown_request timestamps",
  "service/pipeline":
    "bound_service error_table rate_limiter rest_error rpc_access rpc_call service_definition wire_error",
  store: "commits recording replica_mark store store_record transaction",
  "store/files": "data_folder refuse_copies sync_folder",
  "store/indexes": "due_keys numbers sealed_walk",
  "store/lmdb": "databases file_check store_error store_failure table",
  "store/records": "audit_codec connection_codec field_codec log_codec sealed_codec spool_codec unreadable",
  strategies: "apply_strategy aws_chunks aws_sigv4 query strategy_shapes",
  telemetry: "logger metrics",
  vault: "api_key key_file key_source secret_file vault",
};

/** Names of extensions that are nouns of the core as well: there, they name no extension. */
export const nounsOfCore = [
  "backup",
  "client_keys",
  "completion",
  "grants",
  "identity",
  // The protocol, whose servers are providers.
  "mcp",
  "policy",
  "tracing",
  "watch",
];

/** Where the core still names an extension, in its code or its texts. It only gets shorter, down to nothing. */
export const namedExtensions: Readonly<Record<string, readonly string[]>> = {
  alerts: ["outbound/outbound.ts"],
  approvals: ["cli/shell/daemon_services.ts"],
  console: [
    "cli/providers/provider_create.ts",
    "cli/providers/provider_templates.ts",
    "cli/shell/daemon_services.ts",
    "config/rows/daemon_settings.ts",
    "model/access/access_table.ts",
    "model/errors.ts",
  ],
  egress: [
    "cli/admin/keys.ts",
    "cli/credentials/shown_request.ts",
    "cli/shell/daemon_services.ts",
    "config/rows/daemon_settings.ts",
    "domain/access/request_rules.ts",
    "model/credentials/credential.ts",
    "model/errors.ts",
    "server/tls/authority.ts",
  ],
  fleet: [
    "cli/daemon/fleet_text.ts",
    "cli/daemon/status.ts",
    "cli/shell/daemon_services.ts",
    "daemon/hub/hub_interfaces.ts",
    "daemon/make_listeners.ts",
    "daemon/shared_parts.ts",
    "daemon/wire_domain.ts",
    "domain/operations/keyring.ts",
    "domain/operations/status_reader.ts",
    "domain/tokens/acquire/token_acquirer.ts",
    "domain/tokens/downscoping.ts",
    "model/access/access_table.ts",
    "model/errors.ts",
    "outbound/network_words.ts",
    "server/api/api_listener.ts",
    "service/forwarding/on_behalf.ts",
    "service/forwarding/wire_status.ts",
    "service/pipeline/call_guard.ts",
    "service/services/fleet_control_service.ts",
    "service/services/status_service.ts",
    "store/replica_mark.ts",
    "store/store.ts",
    "vault/sealing_key.ts",
  ],
  keyring: [
    "cli/shell/call_failure.ts",
    "cli/shell/daemon_services.ts",
    "daemon/wire_domain.ts",
    "domain/operations/key_check.ts",
    "domain/operations/keyring.ts",
    "model/access/access_table.ts",
  ],
  manifest: [
    "config/rows/daemon_settings.ts",
    "config/version.ts",
    "daemon/extension.ts",
    "document/named_variables.ts",
    "model/access/api_reads.ts",
  ],
  mcp_servers: ["domain/providers/mcp_lookup.ts"],
  spoke: [
    "cli/daemon/fleet_text.ts",
    "cli/daemon/status.ts",
    "service/services/status_service.ts",
    "store/files/refuse_copies.ts",
  ],
  systemd: ["daemon/make_listeners.ts", "outbound/network_words.ts"],
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
