import { isMessage, type Message } from "@bufbuild/protobuf";
import type { AccessControl, RequestGate } from "../../domain/access/access.js";
import { isDownscoped, type ReadAudit, type Tokens } from "../../domain/reading/reading.js";
import { type Connection, ConnectionSchema, ConnectionService } from "../../gen/nexus/v1/connection_pb.js";
import { ProviderService } from "../../gen/nexus/v1/provider_pb.js";
import {
  AcquireTokenResponseSchema,
  type Token,
  TokenSchema,
  TokenServiceGetTokenRequestSchema,
} from "../../gen/nexus/v1/token_pb.js";
import type { Principal } from "../../model/access/access.js";
import { Unavailable, type Use } from "../../model/model.js";
import { type Changes, type Clock, delay } from "../../runtime/runtime.js";
import { connectionStatusOf } from "../../service/messages/messages.js";
import type { DefinedMethod } from "../../service/service.js";
import type { Store } from "../../store/store.js";

/** The stream of the hub brings in milliseconds what its answer rests on. */
const timeoutMs = 2_000;

export interface OwnReadsDeps {
  readonly store: Pick<Store, "getConnection">;
  readonly access: Pick<AccessControl, "permissionsFor">;
  readonly gate: Pick<RequestGate, "connectionOf">;
  readonly tokens: Pick<Tokens, "admitted">;
  readonly readAudit: Pick<ReadAudit, "read">;
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

/** A token that a hub answered. */
export interface AnsweredToken {
  /** Undefined while the copy does not have it. */
  readonly connectionId: string | undefined;
  readonly revision: bigint;
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
   * Resolves when the copy has what the answer rests on, or does not get it within 2 s.
   *
   * @returns the token in the answer, of which nothing is on record yet
   */
  async copied(
    method: DefinedMethod,
    request: Message,
    answer: Message,
    caller: Principal,
  ): Promise<AnsweredToken | undefined> {
    const { descriptor, rpc } = method;
    if (descriptor.parent === ProviderService && rpc?.writes === true) {
      const taken = this.deps.takeProviders().catch(() => undefined);
      await Promise.race([taken, delay(this.deps.clock, timeoutMs)]);
      return undefined;
    }
    const shown: AnsweredConnection = rpc?.shows?.(answer) ?? shownIn(request, answer);
    const connectionOf = (): string | undefined =>
      shown.connection?.id || shown.connectionId || this.#named(method, request, caller);
    await this.#copied(shown, descriptor === ConnectionService.method.deleteConnection, connectionOf);
    const { revision } = shown;
    return revision === undefined ? undefined : { connectionId: connectionOf(), revision };
  }

  /**
   * Resolves when the read of a token is durable.
   *
   * @param use what the caller was admitted to here; without it, it is judged as one that shows no request
   * @throws Unavailable when the read cannot be recorded; PermissionDenied and FailedPrecondition of the rules here
   */
  async recorded({ connectionId, revision }: AnsweredToken, caller: Principal, use?: Use): Promise<void> {
    if (connectionId === undefined)
      throw new Unavailable(
        "the read of the token cannot be recorded: this spoke has no copy of it yet",
        1_000,
      );
    const admitted = use ?? (await this.deps.tokens.admitted(caller, connectionId));
    await this.deps.readAudit.read(caller, connectionId, revision, 1, admitted);
  }

  /** The connection that the request names, as far as it is known here. */
  #named({ rpc }: DefinedMethod, request: Message, caller: Principal): string | undefined {
    const { access, gate } = this.deps;
    return rpc?.resourceOf && gate.connectionOf(access.permissionsFor(caller), rpc.resourceOf(request));
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
  if (isMessage(answer, AcquireTokenResponseSchema)) {
    const { case: kind, value } = answer.result;
    return kind === "token" ? { revision: value.revision } : { connectionId: value?.connectionId };
  }
  if ("token" in answer && isMessage(answer.token, TokenSchema)) {
    const isOther = isMessage(request, TokenServiceGetTokenRequestSchema) && isDownscoped(request);
    return { revision: answer.token.revision, token: isOther ? undefined : answer.token };
  }
  return {
    connection:
      "connection" in answer && isMessage(answer.connection, ConnectionSchema)
        ? answer.connection
        : undefined,
    connectionId:
      "connectionId" in answer && typeof answer.connectionId === "string" ? answer.connectionId : undefined,
  };
}
