import type { Message } from "@bufbuild/protobuf";
import type { ConnectionNames, McpServerNames, RequestRules } from "../../domain/access/access.js";
import { isDownscoped, type ReadAudit } from "../../domain/reading/reading.js";
import { type Connection, ConnectionService } from "../../gen/nexus/v1/connection_pb.js";
import { ProviderService } from "../../gen/nexus/v1/provider_pb.js";
import {
  type AcquireTokenRequest,
  type AcquireTokenResponse,
  type Token,
  TokenService,
} from "../../gen/nexus/v1/token_pb.js";
import type { Principal } from "../../model/access/access.js";
import type { ConnectionName } from "../../model/connections/connections.js";
import { Unavailable } from "../../model/model.js";
import { type Changes, type Clock, delay } from "../../runtime/runtime.js";
import { connectionStatusOf } from "../../service/messages/messages.js";
import type { DefinedMethod } from "../../service/service.js";
import type { Store } from "../../store/store.js";

/** The stream of the hub brings in milliseconds what its answer rests on. */
const timeoutMs = 2_000;

export interface OwnReadsDeps {
  readonly store: Pick<Store, "getConnection">;
  readonly names: Pick<ConnectionNames, "findFor">;
  readonly mcpNames: Pick<McpServerNames, "find">;
  readonly readAudit: Pick<ReadAudit, "read">;
  readonly rules: Pick<RequestRules, "admit">;
  /** Whether the copy receives changes at all. */
  readonly isConnected: () => boolean;
  /** Takes the token of a connection into the copy. */
  readonly hold: (connectionId: string, token: Token) => Promise<void>;
  /** Has the hub send its profiles. Rejects when it does not. */
  readonly takeProviders: () => Promise<void>;
  /** Of the copy. */
  readonly changes: Changes;
  readonly clock: Clock;
}

/** What an answer shows. */
interface AnsweredConnection {
  readonly connection?: Connection | undefined;
  readonly connectionId?: string | undefined;
  /** Of a token that the caller gets. */
  readonly revision?: bigint | undefined;
  /** It is the one of the connection, which a downscoped one is not. */
  readonly token?: Token | undefined;
}

/** Callers read what they wrote: the copy has what a hub answered, before the answer leaves. */
export class OwnReads {
  readonly #waiting = new Set<() => void>();

  constructor(private readonly deps: OwnReadsDeps) {
    deps.changes.on("connections", () => {
      for (const look of this.#waiting) look();
    });
  }

  /**
   * Resolves when the copy has what the answer rests on, or does not get it within 2 s, and the read of its token is durable.
   *
   * @throws Unavailable when the read cannot be recorded; PermissionDenied and FailedPrecondition of the rules here
   */
  async answered(method: DefinedMethod, request: Message, answer: Message, caller: Principal): Promise<void> {
    const { descriptor } = method;
    if (descriptor.parent === ProviderService && method.rpc?.writes === true) {
      const taken = this.deps.takeProviders().catch(() => undefined);
      await Promise.race([taken, delay(this.deps.clock, timeoutMs)]);
      return;
    }
    const shown: AnsweredConnection = method.rpc?.shows?.(answer) ?? shownIn(request, answer);
    const connectionOf = (): string | undefined =>
      shown.connection?.id || shown.connectionId || this.#asked(request, caller);
    await this.#copied(shown, descriptor === ConnectionService.method.deleteConnection, connectionOf);
    const { revision } = shown;
    if (revision === undefined) return;
    const id = connectionOf();
    if (id === undefined)
      throw new Unavailable(
        "the read of the token cannot be recorded: this spoke has no copy of it yet",
        1_000,
      );
    // All other tokens are asked for here first.
    const isRefresh = descriptor === TokenService.method.refreshToken;
    const use = isRefresh ? await this.deps.rules.admit(caller, id) : undefined;
    await this.deps.readAudit.read(caller, id, revision, 1, use);
  }

  async #copied(
    shown: AnsweredConnection,
    isDeleted: boolean,
    connectionOf: () => string | undefined,
  ): Promise<void> {
    const { connection, token } = shown;
    const heldId = token && connectionOf();
    if (heldId) await this.deps.hold(heldId, token);
    if (shown.revision === undefined && !connection && !shown.connectionId && !isDeleted) return;
    const revision = shown.revision ?? connection?.revision ?? 0n;
    await this.#until(() => {
      const id = connectionOf();
      const copied = id === undefined ? undefined : this.deps.store.getConnection(id);
      if (isDeleted || !copied) return isDeleted && !copied;
      const isOfStatus = connection === undefined || copied.status === connectionStatusOf(connection.status);
      return copied.credentialRevision >= revision && isOfStatus;
    });
  }

  /** The connection that the request names, as far as it is known here. */
  #asked(request: Message, caller: Principal): string | undefined {
    const { connectionId, name } = request as { connectionId?: string; name?: ConnectionName };
    if (connectionId) return connectionId;
    if (typeof name === "object") return this.deps.names.findFor(name, caller);
    if (request.$typeName !== TokenService.method.acquireToken.input.typeName) return undefined;
    const { providerName, mcpServerUrl, userId, label } = request as AcquireTokenRequest;
    const named = mcpServerUrl === "" ? providerName : this.deps.mcpNames.find(mcpServerUrl)?.name;
    return named === undefined
      ? undefined
      : this.deps.names.findFor({ providerName: named, userId, label }, caller);
  }

  async #until(isCopied: () => boolean): Promise<void> {
    const { clock, isConnected } = this.deps;
    if (isCopied() || !isConnected()) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        timer.cancel();
        this.#waiting.delete(look);
        resolve();
      };
      const look = (): void => {
        if (isCopied() || !isConnected()) end();
      };
      const timer = clock.setTimer(timeoutMs, end);
      this.#waiting.add(look);
    });
  }
}

function shownIn(request: Message, answer: Message): AnsweredConnection {
  const { connection, connectionId, token } = answer as AnsweredConnection & { token?: Token };
  const { result } = answer as Partial<AcquireTokenResponse>;
  if (result?.case === "token") return { revision: result.value.revision };
  if (result?.case === "consent") return { connectionId: result.value.connectionId };
  if (!token) return { connection, connectionId };
  const isOther = isDownscoped({ scopes: [], audience: "", resource: "", ...request } as never);
  return { revision: token.revision, token: isOther ? undefined : token };
}
