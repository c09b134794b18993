import type { Extension } from "../core/registry.js";
import { alerts } from "./alerts/extension.js";
import { approvals } from "./approvals/extension.js";
import { backup } from "./backup/extension.js";
import { clientKeys } from "./client_keys/extension.js";
import { completion } from "./completion/extension.js";
import { webConsole } from "./console/extension.js";
import { credentialHelpers } from "./credential_helpers/extension.js";
import { demoProvider } from "./demo_provider/extension.js";
import { drivers } from "./drivers/extension.js";
import { egress } from "./egress/extension.js";
import { envoy } from "./envoy/extension.js";
import { fleet } from "./fleet/extension.js";
import { grants } from "./grants/extension.js";
import { identity } from "./identity/extension.js";
import { keyring } from "./keyring/extension.js";
import { kubernetes } from "./kubernetes/extension.js";
import { manifest } from "./manifest/extension.js";
import { mcp } from "./mcp/extension.js";
import { mcpServers } from "./mcp_servers/extension.js";
import { memory } from "./memory/extension.js";
import { nexusImport } from "./nexus_import/extension.js";
import { policy } from "./policy/extension.js";
import { reflection } from "./reflection/extension.js";
import { spoke } from "./spoke/extension.js";
import { systemd } from "./systemd/extension.js";
import { tracing } from "./tracing/extension.js";
import { watch } from "./watch/extension.js";

/** The only place that names the extensions. Without its folder and its lines here, the rest builds and runs. */
export const extensions: readonly Extension[] = [
  alerts,
  approvals,
  backup,
  clientKeys,
  completion,
  demoProvider,
  drivers,
  egress,
  envoy,
  fleet,
  grants,
  credentialHelpers,
  identity,
  keyring,
  kubernetes,
  manifest,
  mcp,
  mcpServers,
  memory,
  nexusImport,
  policy,
  reflection,
  spoke,
  systemd,
  tracing,
  watch,
  webConsole,
];
