import type { Changes } from "../../runtime/changes.js";
import type { StoreParts } from "../connections/connections.js";
import { AccessControl } from "./access_control.js";
import { AccessExplainer } from "./access_explainer.js";
import { ApiKeys } from "./api_keys.js";
import { ConnectionNames } from "./connection_names.js";
import { CountedAudit } from "./counted_audit.js";
import type { LeadingRules } from "./leading_rules.js";
import type { McpServerNames } from "./mcp_server_names.js";
import { RequestGate } from "./request_gate.js";
import { type AskApprovers, RequestRules } from "./request_rules.js";
import type { SessionMemory } from "./session_memory.js";
import { StreamRegistry } from "./stream_registry.js";
import type { UseCounts } from "./use_limits.js";
import { VisibleConnections } from "./visible_connections.js";

export { AccessControl, denied, type Sight } from "./access_control.js";
export { AccessExplainer, actionNamed } from "./access_explainer.js";
export { ApiKeys } from "./api_keys.js";
export { type AuthenticateOptions, authenticateBy } from "./authenticate.js";
export { type ConnectionKey, ConnectionNames } from "./connection_names.js";
export { CountedAudit } from "./counted_audit.js";
export type { LeadingRules, LedRequest, LedUse } from "./leading_rules.js";
export { McpServerNames } from "./mcp_server_names.js";
export type { Authenticate, Peer, PeerCertificate, PresentedCredentials } from "./presented_credentials.js";
export { type RequestedResource, RequestGate } from "./request_gate.js";
export { type AskApprovers, type HeldRequest, RequestRules, type TokenPurpose } from "./request_rules.js";
export { SeenIds } from "./seen_ids.js";
export type { LabelingRequest, SessionLabel, SessionMemory } from "./session_memory.js";
export { type HeldStream, StreamRegistry } from "./stream_registry.js";
export type { LimitedUse, UseCounts } from "./use_limits.js";
export { VisibleConnections } from "./visible_connections.js";

/** Who may do and see what. */
export interface Access {
  readonly keys: ApiKeys;
  /** What principals may do, by the policy in force; ends their calls when that changes. */
  readonly control: AccessControl;
  /** Connections by provider, user, and label, as a caller may see them. */
  readonly names: ConnectionNames;
  /** What a call may name. */
  readonly gate: RequestGate;
  /** Judges the API requests that need a token, and holds those that a person decides. */
  readonly rules: RequestRules;
  readonly explainer: AccessExplainer;
  /** Pages of the connections that a caller may see. */
  readonly seen: VisibleConnections;
  readonly streams: StreamRegistry;
  /** Who was denied what. */
  readonly deniedAccess: CountedAudit;
}

export interface AccessDeps extends StoreParts {
  readonly changes: Changes;
  readonly mcpNames: McpServerNames;
  /** Undefined without an approver: then a request that needs approval is denied. */
  readonly approver: () => AskApprovers | undefined;
  /** Undefined where no session has labels. */
  readonly memory: () => SessionMemory | undefined;
  /** Undefined where no use is counted. */
  readonly uses: () => UseCounts | undefined;
  /** Undefined where each daemon decides over all requests by itself. */
  readonly leader?: LeadingRules | undefined;
}

export function openAccess(deps: AccessDeps): Access {
  const { store, changes, clock, log, mcpNames, approver, memory, uses, leader } = deps;
  const keys = new ApiKeys({ store, changes, clock, log });
  const control = new AccessControl({ store, changes, clock, keys });
  const names = new ConnectionNames({ access: control, store, changes });
  return {
    keys,
    control,
    names,
    gate: new RequestGate({ access: control, names, store, mcpNames }),
    rules: new RequestRules({ access: control, changes, clock, approver, memory, uses, leader }),
    explainer: new AccessExplainer({ access: control, store }),
    seen: new VisibleConnections({ store }),
    streams: new StreamRegistry({ clock }),
    deniedAccess: new CountedAudit({ store, clock, log }),
  };
}
