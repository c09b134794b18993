import type { AccessControl, View } from "../../domain/access/access_control.js";
import type { ConnectionNames } from "../../domain/access/connection_names.js";
import type { CredentialReader } from "../../domain/credentials/credential_reader.js";
import type { McpServerNames } from "../../domain/mcp/mcp_server_names.js";
import type { AcquireTokenRequest } from "../../gen/nexus/v1/token_pb.js";
import type { Principal } from "../../model/access/principal.js";
import type { ConnectionName } from "../../model/connections/connection_name.js";
import type { CallersSight } from "../../service/fleet/callers_sight.js";

export interface CopySightDeps {
  readonly access: Pick<AccessControl, "viewOf">;
  readonly names: Pick<ConnectionNames, "findFor" | "partsOf">;
  readonly mcpNames: Pick<McpServerNames, "find">;
  readonly reader: Pick<CredentialReader, "view">;
}

/** By the spoke's own policy and its own names. */
export class CopySight implements CallersSight {
  constructor(private readonly deps: CopySightDeps) {}

  connectionOf(name: ConnectionName, caller: Principal): string | undefined {
    return this.deps.names.findFor(name, caller);
  }

  nameOf({
    providerName,
    mcpServerUrl,
    userId,
    label,
  }: Pick<AcquireTokenRequest, "providerName" | "mcpServerUrl" | "userId" | "label">):
    | ConnectionName
    | undefined {
    const named = mcpServerUrl === "" ? providerName : this.deps.mcpNames.find(mcpServerUrl)?.name;
    return named === undefined ? undefined : { providerName: named, userId, label };
  }

  providerOf(name: ConnectionName): string | undefined {
    return this.deps.names.partsOf(name)?.providerId;
  }

  viewOf(caller: Principal): View {
    return this.deps.access.viewOf(caller);
  }

  tokenOf(connectionId: string) {
    return this.deps.reader.view(connectionId)?.token;
  }
}
