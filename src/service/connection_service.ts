import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ConnectionImporter } from "../domain/connection_importer.js";
import type { ConnectionManager } from "../domain/connection_manager.js";
import {
  ConnectionService,
  type ConnectionServiceRequestConnectionRequest,
  ConnectionServiceRequestConnectionResponseSchema,
  DeleteConnectionResponseSchema,
  GetConnectionResponseSchema,
  ImportConnectionResponseSchema,
  ListConnectionsResponseSchema,
  RevokeConnectionResponseSchema,
} from "../gen/nexus/v1/connection_pb.js";
import { isId } from "../model/ids.js";
import { Secret } from "../runtime/secret.js";
import { bindService } from "./bind_service.js";
import type { BoundService } from "./bound_service.js";
import { connectionMessage, statusOf } from "./connection_message.js";
import { decodePageToken, encodePageToken, pageSize } from "./page_token.js";
import { notServed } from "./unimplemented.js";

export function connectionService(options: {
  readonly manager: Pick<ConnectionManager, "request" | "get" | "list" | "revoke" | "delete">;
  readonly importer: Pick<ConnectionImporter, "import">;
}): BoundService {
  const { manager, importer } = options;
  return bindService(ConnectionService, {
    async requestConnection(request, context) {
      const requested = await manager.request(
        {
          userId: request.userId,
          provider: providerKey(request.provider),
          scopes: request.scopes,
          returnUrl: emptyToUndefined(request.returnUrl),
          connectionId: emptyToUndefined(request.connectionId),
        },
        context.principal,
      );
      return create(ConnectionServiceRequestConnectionResponseSchema, {
        authUrl: requested.authUrl,
        state: requested.state,
        scopes: [...requested.scopes],
        providerId: requested.providerId,
        connectionId: requested.connectionId,
        expiresAt: timestampFromMs(requested.expiresAtMs),
      });
    },

    async getConnection(request) {
      const connection = connectionMessage(manager.get(request.connectionId));
      return create(GetConnectionResponseSchema, { connection });
    },

    async listConnections(request) {
      const page = manager.list({
        afterId: decodePageToken(request.pageToken, isId),
        limit: pageSize(request.pageSize),
        userId: emptyToUndefined(request.userId),
        providerId: emptyToUndefined(request.providerId),
        status: statusOf(request.status),
      });
      return create(ListConnectionsResponseSchema, {
        connections: page.connections.map(connectionMessage),
        nextPageToken: encodePageToken(page.nextAfterId),
      });
    },

    async revokeConnection(request, context) {
      const connection = connectionMessage(await manager.revoke(request.connectionId, context.principal));
      return create(RevokeConnectionResponseSchema, { connection });
    },

    async deleteConnection(request, context) {
      await manager.delete(request.connectionId, context.principal);
      return create(DeleteConnectionResponseSchema);
    },

    getCaptureSchema: notServed,
    captureCredential: notServed,
    async importConnection(request, context) {
      const { userId, providerId, refreshToken, credentials: fields, scopes } = request;
      const imported = await importer.import(
        {
          userId,
          providerId,
          refreshToken: refreshToken === "" ? undefined : new Secret(refreshToken),
          fields,
          scopes,
        },
        context.principal,
      );
      return create(ImportConnectionResponseSchema, { connection: connectionMessage(imported) });
    },

    replaceCredential: notServed,
  });
}

function providerKey(provider: ConnectionServiceRequestConnectionRequest["provider"]) {
  if (provider.case === "providerId") return { id: provider.value };
  return provider.case === "providerName" ? { name: provider.value } : undefined;
}

function emptyToUndefined(text: string): string | undefined {
  return text === "" ? undefined : text;
}
