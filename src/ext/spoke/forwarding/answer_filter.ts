import { clone, type Message } from "@bufbuild/protobuf";
import type { AccessControl } from "../../../domain/access/access_control.js";
import type { ConnectionNames } from "../../../domain/access/connection_names.js";
import type { CredentialReader } from "../../../domain/credentials/credential_reader.js";
import type { McpServerNames } from "../../../domain/providers/mcp/mcp_server_names.js";
import type { AcquireTokenRequest, Token } from "../../../gen/nexus/v1/token_pb.js";
import type { Principal } from "../../../model/access/principal.js";
import type { ConnectionName } from "../../../model/connections/connection_name.js";
import { NotFound, Unavailable } from "../../../model/errors.js";
import type { DefinedMethod } from "../../../service/pipeline/service_definition.js";
import type { AnswerFacts } from "./answer_facts.js";

export interface AnswerFilterDeps {
  readonly access: Pick<AccessControl, "viewOf">;
  readonly names: Pick<ConnectionNames, "findFor" | "partsOf">;
  readonly mcpNames: Pick<McpServerNames, "find">;
  /** Of the copy. */
  readonly reader: Pick<CredentialReader, "view">;
}

const acquires = "nexus.v1.AcquireTokenRequest";

/** Keeps what a hub answers a spoke within what the caller of the spoke may see: the hub judged by what the spoke may see. */
export class AnswerFilter {
  constructor(private readonly deps: AnswerFilterDeps) {}

  /**
   * A hub finds by a name what its own caller sees, in an order of its own: so it is asked for the connection that the name is here, to this
   * caller. Names that are none here stay as they are.
   *
   * @throws NotFound when the caller may see a part only, and nothing of that name
   */
  resolveName({ descriptor, remote }: DefinedMethod, request: Message, caller: Principal): Message {
    const given = remote ? remote.nameOf(request) : this.#nameIn(request);
    const name = request.$typeName === acquires ? undefined : given;
    if (name === undefined) return request;
    const id = this.deps.names.findFor(name, caller);
    if (id === undefined) {
      if (this.deps.access.viewOf(caller).isRestricted) throw new NotFound("connection");
      return request;
    }
    if (remote) return remote.withConnection(request, id);
    return Object.assign(clone(descriptor.input, request), { connectionId: id, name: undefined });
  }

  /** The connection that an answer is of; undefined where it is of none, or of one that is not known here. */
  connectionOf(request: Message, facts: AnswerFacts, caller: Principal): string | undefined {
    const { connectionId } = request as { connectionId?: string };
    const reported = facts.connection?.id || facts.connectionId || connectionId;
    if (reported) return reported;
    const name = this.#nameIn(request);
    return name && this.deps.names.findFor(name, caller);
  }

  /**
   * Takes from lists what the caller may not see, and refuses the answer that is of such a connection or provider.
   *
   * @throws NotFound; Unavailable when it cannot be judged yet
   */
  filterAnswer(request: Message, facts: AnswerFacts, caller: Principal): void {
    const view = this.deps.access.viewOf(caller);
    if (!view.isRestricted) return;
    const { connection, connectionId, provider, connections, providers, acquired } = facts;
    if (connections)
      connections.connections = connections.connections.filter((each) => view.seesConnection(each));
    if (providers) providers.providers = providers.providers.filter((each) => view.seesProvider(each));
    if (provider && !view.seesProvider(provider)) throw new NotFound("provider");
    if (connection && !view.seesConnection(connection)) throw new NotFound("connection");
    if (connectionId && !connection && !view.seesChange({ connectionId, ...this.#askedFor(request, facts) }))
      throw new NotFound("connection");
    if (acquired) this.#judgeToken(acquired, this.connectionOf(request, {}, caller));
  }

  /** Of a connection that the copy does not have: whose it must be, by what was asked. */
  #askedFor(request: Message, facts: AnswerFacts): { readonly userId: string; readonly providerId: string } {
    const { userId = "" } = request as { userId?: string };
    const name = request.$typeName === acquires ? this.#nameIn(request) : undefined;
    const providerId = facts.providerId ?? (name && this.deps.names.partsOf(name)?.providerId) ?? "";
    return { userId, providerId };
  }

  /** It must be the token of the connection that the name is to this caller. */
  #judgeToken(token: Token, connectionId: string | undefined): void {
    if (connectionId === undefined) throw new NotFound("connection");
    const copied = this.deps.reader.view(connectionId)?.token;
    if (copied === undefined || copied.revision < token.revision)
      throw new Unavailable("the hub has given a token that this spoke has not copied yet: ask again", 1_000);
    const isSame = Object.entries(token.credentials).every(
      ([key, value]) => copied.credentials[key] === value,
    );
    if (copied.revision !== token.revision || !isSame) throw new NotFound("connection");
  }

  #nameIn(request: Message): ConnectionName | undefined {
    if (request.$typeName === acquires) {
      const { providerName, mcpServerUrl, userId, label } = request as AcquireTokenRequest;
      const named = mcpServerUrl === "" ? providerName : this.deps.mcpNames.find(mcpServerUrl)?.name;
      return named === undefined ? undefined : { providerName: named, userId, label };
    }
    // Profiles have names too, which are texts.
    const { name } = request as { name?: ConnectionName | string };
    return typeof name === "object" ? name : undefined;
  }
}
