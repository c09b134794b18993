import type { Message } from "@bufbuild/protobuf";
import { isDownscoped } from "../../domain/tokens/downscoping.js";
import type { ReadAudit } from "../../domain/tokens/read_audit.js";
import type { Token, TokenServiceGetTokenRequest } from "../../gen/nexus/v1/token_pb.js";
import type { Principal } from "../../model/access/principal.js";
import { Unavailable } from "../../model/errors.js";
import type { Changes } from "../../runtime/changes.js";
import { type Clock, delay } from "../../runtime/clock.js";
import { statusOf } from "../../service/messages/connection_message.js";
import type { Store } from "../../store/store.js";
import type { AnswerFacts } from "./forwarding/answer_facts.js";
import type { AnswerFilter } from "./forwarding/answer_filter.js";

/** The stream of the hub brings in milliseconds what its answer rests on. */
const timeoutMs = 2_000;

export interface OwnReadsDeps {
  readonly store: Pick<Store, "getConnection">;
  readonly filter: Pick<AnswerFilter, "connectionOf">;
  readonly readAudit: Pick<ReadAudit, "read">;
  /** Whether the copy is being told at all. */
  readonly isConnected: () => boolean;
  /** Takes the token of a connection into the copy. */
  readonly hold: (connectionId: string, token: Token) => Promise<void>;
  /** Has the hub tell its profiles. Rejects when it does not. */
  readonly takeProviders: () => Promise<void>;
  /** Of the copy. */
  readonly changes: Changes;
  readonly clock: Clock;
}

/** Callers read what they wrote: the copy has what a hub answered, before the answer leaves. */
export class OwnReads {
  readonly #waiting = new Set<() => void>();

  constructor(private readonly deps: OwnReadsDeps) {
    deps.changes.on("connections", () => {
      for (const look of this.#waiting) look();
    });
  }

  /** Resolves when it has, or does not get it within 2 s. */
  async copied(request: Message, facts: AnswerFacts, caller: Principal): Promise<void> {
    const { changes, connection, connectionId } = facts;
    if (changes === "providers") {
      const taken = this.deps.takeProviders().catch(() => undefined);
      await Promise.race([taken, delay(this.deps.clock, timeoutMs)]);
      return;
    }
    const isDeleted = changes === "deleted connection";
    const heldId = facts.token && this.deps.filter.connectionOf(request, facts, caller);
    if (facts.token && heldId && !asksDownscoped(request)) await this.deps.hold(heldId, facts.token);
    if (facts.revision === undefined && !connection && !connectionId && !isDeleted) return;
    await this.#until(() => {
      const id = this.deps.filter.connectionOf(request, facts, caller);
      const copied = id === undefined ? undefined : this.deps.store.getConnection(id);
      if (isDeleted || !copied) return isDeleted && !copied;
      const revision = facts.revision ?? connection?.revision ?? 0n;
      const isOfStatus = connection === undefined || copied.status === statusOf(connection.status);
      return copied.credentialRevision >= revision && isOfStatus;
    });
  }

  /** Resolves when the read of a token of the answer is durable. @throws Unavailable when it cannot be */
  async recorded(request: Message, facts: AnswerFacts, caller: Principal): Promise<void> {
    const { revision } = facts;
    if (revision === undefined) return;
    const id = this.deps.filter.connectionOf(request, facts, caller);
    if (id === undefined)
      throw new Unavailable(
        "the read of the token cannot be recorded: this spoke has no copy of it yet",
        1_000,
      );
    await this.deps.readAudit.read(caller, id, revision);
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

function asksDownscoped(request: Message): boolean {
  if (request.$typeName !== "nexus.v1.TokenServiceGetTokenRequest") return false;
  return isDownscoped(request as TokenServiceGetTokenRequest);
}
