import { create } from "@bufbuild/protobuf";
import { timestampDate, timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { AccessControl, ConnectionNames, VisibleConnections } from "../../domain/access/access.js";
import type {
  ConnectionRequests,
  ConsentConfirmation,
  CredentialCapture,
} from "../../domain/consent/consent.js";
import type {
  ConnectionImporter,
  Connections,
  UnattendedConnector,
} from "../../domain/provisioning/provisioning.js";
import type { CheckOutcome, ConnectionCheck, ConnectionWatch, Tokens } from "../../domain/reading/reading.js";
import {
  CaptureCredentialResponseSchema,
  CheckOutcome as CheckOutcomeMessage,
  ConfirmConnectionResponseSchema,
  ConnectionService,
  ConnectionServiceCheckConnectionResponseSchema,
  ConnectionServiceRefreshConnectionResponseSchema,
  type ConnectionServiceRequestConnectionRequest,
  type ConnectionServiceRequestConnectionResponse,
  ConnectionServiceRequestConnectionResponseSchema,
  DeleteConnectionResponseSchema,
  GetCaptureSchemaResponseSchema,
  GetConnectionResponseSchema,
  ImportConnectionResponseSchema,
  ListConnectionsResponseSchema,
  ReplaceCredentialResponseSchema,
  RevokeConnectionResponseSchema,
} from "../../gen/nexus/v1/connection_pb.js";
import type { Connection } from "../../model/connections/connection.js";
import { signInField, signInNeed } from "../../model/connections/sign_in.js";
import { InvalidArgument } from "../../model/errors.js";
import { isId } from "../../model/ids.js";
import type { JsonObject } from "../../model/json.js";
import { Secret } from "../../runtime/secret.js";
import {
  connectionMessage,
  connectionStatusOf,
  statusMessages,
  watchConnectionsMessage,
} from "../messages/connection_message.js";
import { decodePageToken, encodePageToken, pageSize } from "../messages/page_token.js";
import {
  defineService,
  type ServiceDefinition,
  type ServiceImplementation,
} from "../pipeline/service_definition.js";

type ConnectionServiceDeps = {
  readonly connections: Connections;
  readonly requests: ConnectionRequests;
  readonly seen: VisibleConnections;
  readonly access: AccessControl;
  readonly names: ConnectionNames;
  readonly capture: CredentialCapture;
  readonly confirmer: ConsentConfirmation;
  readonly importer: ConnectionImporter;
  readonly unattended: UnattendedConnector;
  readonly tokens: Tokens;
  readonly check: ConnectionCheck;
  readonly connectionWatch: ConnectionWatch;
};

const checkOutcomes: Readonly<Record<CheckOutcome, CheckOutcomeMessage>> = {
  accepted: CheckOutcomeMessage.ACCEPTED,
  refused: CheckOutcomeMessage.REFUSED,
  unclear: CheckOutcomeMessage.UNCLEAR,
};

type ConnectionMethods = ServiceImplementation<typeof ConnectionService>;

export function connectionService(deps: ConnectionServiceDeps): ServiceDefinition {
  return defineService(ConnectionService, new ConnectionRpcs(deps));
}

class ConnectionRpcs implements ConnectionMethods {
  constructor(private readonly deps: ConnectionServiceDeps) {}

  requestConnection: ConnectionMethods["requestConnection"] = async (request, { principal }) => {
    const connectionRequest = {
      userId: request.userId,
      label: request.label,
      provider: providerKey(request.provider),
      scopes: request.scopes,
      returnUrl: request.returnUrl || undefined,
      connectionId: request.connectionId || undefined,
      requireConfirmation: request.requireConfirmation,
      device: request.device,
      signIn: signInNeed(request.acrValues, request.maxAgeSeconds),
    };
    const profile = this.deps.unattended.profileFor(connectionRequest);
    if (profile && connectionRequest.signIn) {
      const description = "is for a provider at which a user signs in: this one needs none";
      throw new InvalidArgument([{ field: signInField(connectionRequest.signIn), description }]);
    }
    if (profile) return minted(await this.deps.unattended.connect(connectionRequest, profile, principal));
    const requested = await this.deps.requests.request(connectionRequest, principal);
    return create(ConnectionServiceRequestConnectionResponseSchema, {
      authUrl: requested.authUrl,
      state: requested.state,
      scopes: [...requested.scopes],
      providerId: requested.providerId,
      connectionId: requested.connectionId,
      expiresAt: timestampFromMs(requested.expiresAtMs),
      redirectUri: requested.redirectUri ?? "",
      ...requested.device,
    });
  };

  confirmConnection: ConnectionMethods["confirmConnection"] = async (
    { connectionId, completionCode },
    context,
  ) => {
    const confirmed = await this.deps.confirmer.confirm(connectionId, completionCode, context.principal);
    return create(ConfirmConnectionResponseSchema, { connection: connectionMessage(confirmed) });
  };

  getConnection: ConnectionMethods["getConnection"] = async (request, context) => {
    const connection = connectionMessage(
      this.deps.connections.get(this.deps.names.idIn(request, context.principal)),
    );
    return create(GetConnectionResponseSchema, { connection });
  };

  listConnections: ConnectionMethods["listConnections"] = async (request, context) => {
    const filter = {
      afterId: decodePageToken("connections", request.pageToken, isId),
      limit: pageSize(request.pageSize),
      userId: request.userId || undefined,
      providerId: request.providerId || undefined,
      status: connectionStatusOf(request.status),
      idPrefix: request.idPrefix,
      search: request.search,
    };
    const view = this.deps.access.viewOf(context.principal);
    const page = await this.deps.seen.list(filter, view.isRestricted ? view.seesConnection : undefined);
    const connections: ReturnType<typeof connectionMessage>[] = [];
    for (const connection of page.connections) {
      connections.push(connectionMessage(connection));
      // Some 1 ms, so that other callers are not held up.
      if (connections.length % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    return create(ListConnectionsResponseSchema, {
      connections,
      nextPageToken: encodePageToken("connections", page.nextAfterId),
    });
  };

  watchConnections: ConnectionMethods["watchConnections"] = (request, { principal }, sink) =>
    this.deps.connectionWatch.open(request, this.deps.access.viewOf(principal), {
      send: (event) => sink.send(watchConnectionsMessage(event)),
      end: (error) => sink.end(error),
    });

  refreshConnection: ConnectionMethods["refreshConnection"] = async (request, context) => {
    const connection = connectionMessage(
      await this.deps.tokens.renew(this.deps.names.idIn(request, context.principal), context.principal),
    );
    return create(ConnectionServiceRefreshConnectionResponseSchema, { connection });
  };

  checkConnection: ConnectionMethods["checkConnection"] = async (request, context) => {
    const { check } = this.deps;
    const checked = await check.run(
      this.deps.names.idIn(request, context.principal),
      context.principal,
      context.signal,
    );
    const { outcome, status, url, connection } = checked;
    return create(ConnectionServiceCheckConnectionResponseSchema, {
      ...{ outcome: checkOutcomes[outcome], status, url, connection: connectionMessage(connection) },
    });
  };

  revokeConnection: ConnectionMethods["revokeConnection"] = async (request, context) => {
    const connection = connectionMessage(
      await this.deps.connections.revoke(this.deps.names.idIn(request, context.principal), context.principal),
    );
    return create(RevokeConnectionResponseSchema, { connection });
  };

  deleteConnection: ConnectionMethods["deleteConnection"] = async (request, context) => {
    await this.deps.connections.delete(this.deps.names.idIn(request, context.principal), context.principal);
    return create(DeleteConnectionResponseSchema);
  };

  getCaptureSchema: ConnectionMethods["getCaptureSchema"] = async (request) => {
    return create(GetCaptureSchemaResponseSchema, this.deps.capture.schema(request.state));
  };

  captureCredential: ConnectionMethods["captureCredential"] = async (request, context) => {
    const values = (request.credentials as JsonObject | undefined) ?? {};
    const captured = await this.deps.capture.capture(request.state, values, context.principal);
    const { connection, outcome } = captured;
    return create(CaptureCredentialResponseSchema, {
      connectionId: connection.id,
      status: statusMessages[connection.status],
      redirectUrl: outcome.kind === "return" ? outcome.location : "",
    });
  };

  replaceCredential: ConnectionMethods["replaceCredential"] = async (request, context) => {
    const id = this.deps.names.idIn(request, context.principal);
    const connection = connectionMessage(
      await this.deps.capture.replace(id, request.credentials, context.principal),
    );
    return create(ReplaceCredentialResponseSchema, { connection });
  };

  importConnection: ConnectionMethods["importConnection"] = async (request, context) => {
    const { userId, label, providerId, credentials: fields, scopes, accessTokenExpiresAt } = request;
    const secret = (text: string) => (text === "" ? undefined : new Secret(text));
    const imported = await this.deps.importer.import(
      {
        userId,
        label,
        providerId,
        refreshToken: secret(request.refreshToken),
        idToken: secret(request.idToken),
        accessToken: secret(request.accessToken),
        expiresAtMs: accessTokenExpiresAt && timestampDate(accessTokenExpiresAt).getTime(),
        id: request.id === "" ? undefined : request.id,
        fields,
        scopes,
      },
      context.principal,
    );
    return create(ImportConnectionResponseSchema, { connection: connectionMessage(imported) });
  };
}

function minted(connection: Connection): ConnectionServiceRequestConnectionResponse {
  return create(ConnectionServiceRequestConnectionResponseSchema, {
    scopes: [...connection.requestedScopes],
    providerId: connection.providerId,
    connectionId: connection.id,
    connection: connectionMessage(connection),
  });
}

function providerKey(provider: ConnectionServiceRequestConnectionRequest["provider"]) {
  if (provider.case === "providerId") return { id: provider.value };
  return provider.case === "providerName" ? { name: provider.value } : undefined;
}
