import type { DescService, Message, MessageShape } from "@bufbuild/protobuf";
import { ClientKeyService } from "../../../gen/nexus/v1/client_key_pb.js";
import { type Connection, ConnectionService } from "../../../gen/nexus/v1/connection_pb.js";
import { NotificationService } from "../../../gen/nexus/v1/notification_pb.js";
import { type Provider, ProviderService } from "../../../gen/nexus/v1/provider_pb.js";
import { type Token, TokenService } from "../../../gen/nexus/v1/token_pb.js";
import { rpcName } from "../../../service/pipeline/rpc_access.js";
import type { DefinedMethod } from "../../../service/pipeline/service_definition.js";

/** What an answer of a hub shows to a caller of a spoke. */
export interface AnswerFacts {
  readonly connection?: Connection | undefined;
  readonly connectionId?: string | undefined;
  /** Of that connection. */
  readonly providerId?: string;
  readonly provider?: Provider | undefined;
  /** Lists, which are filtered in place. */
  readonly connections?: { connections: Connection[] };
  readonly providers?: { providers: Provider[] };
  /** Of the token that the caller gets. */
  readonly revision?: bigint | undefined;
  /** That token, where it was asked for by the connection. */
  readonly token?: Token | undefined;
  /** And where it was asked for by a name: the answer does not say of which connection it is. */
  readonly acquired?: Token;
  readonly changes?: "providers" | "deleted connection";
}

type FactsOf<S extends DescService> = {
  readonly [M in keyof S["method"] as S["method"][M]["methodKind"] extends "unary" ? M : never]: (
    answer: MessageShape<S["method"][M]["output"]>,
  ) => AnswerFacts;
};

const rows = new Map<string, (answer: never) => AnswerFacts>();

function facts<S extends DescService>(service: S, table: FactsOf<S>): void {
  for (const [name, row] of Object.entries(table)) rows.set(`${service.typeName}/${name}`, row as never);
}

/** It shows what the request named, or nothing that is anybody's: the request was judged. */
const ofRequest = (): AnswerFacts => ({});
const ofConnection = ({ connection }: { connection?: Connection | undefined }): AnswerFacts => ({
  connection,
});
const ofToken = ({ token }: { token?: Token | undefined }): AnswerFacts => ({
  token,
  revision: token?.revision,
});
const changesProviders = (): AnswerFacts => ({ changes: "providers" });

facts(ConnectionService, {
  requestConnection: ({ connection, connectionId, providerId }) => ({ connection, connectionId, providerId }),
  confirmConnection: ofConnection,
  getConnection: ofConnection,
  listConnections: (connections) => ({ connections }),
  refreshConnection: ofConnection,
  revokeConnection: ofConnection,
  deleteConnection: () => ({ changes: "deleted connection" }),
  getCaptureSchema: ofRequest,
  captureCredential: ({ connectionId }) => ({ connectionId }),
  importConnection: ofConnection,
  replaceCredential: ofConnection,
});

facts(ProviderService, {
  createProvider: changesProviders,
  getProvider: ({ provider }) => ({ provider }),
  listProviders: (providers) => ({ providers }),
  updateProvider: changesProviders,
  deleteProvider: changesProviders,
  listProviderTemplates: ofRequest,
});

facts(TokenService, {
  acquireToken: ({ result }) => {
    if (result.case === "token") return { acquired: result.value, revision: result.value.revision };
    return result.case === "consent" ? { connectionId: result.value.connectionId } : {};
  },
  getToken: ofToken,
  refreshToken: ofToken,
  reportRejectedToken: ofRequest,
  createProof: ofRequest,
});

facts(ClientKeyService, { listClientKeys: ofRequest, rotateClientKeys: ofRequest });
facts(NotificationService, { testReceivers: ofRequest });

/** Undefined for an RPC that no hub is asked for: nobody has said what its answers show. */
export function factsOf({
  descriptor,
  remote,
}: DefinedMethod): ((answer: Message) => AnswerFacts) | undefined {
  if (remote) return remote.shows;
  const name = rpcName({ parent: descriptor.parent, name: descriptor.localName });
  return rows.get(name) as ((answer: Message) => AnswerFacts) | undefined;
}
