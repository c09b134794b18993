import type { Message } from "@bufbuild/protobuf";
import type { ConnectionNames } from "../../domain/access/connection_names.js";
import type { ReadAudit } from "../../domain/tokens/read_audit.js";
import type { Connection as ConnectionMessage } from "../../gen/nexus/v1/connection_pb.js";
import type { AcquireTokenResponse, Token } from "../../gen/nexus/v1/token_pb.js";
import type { Principal } from "../../model/access/principal.js";
import type { ConnectionName } from "../../model/connections/connection_name.js";
import { type Clock, delay } from "../../runtime/clock.js";
import { statusOf } from "../../service/messages/connection_message.js";
import type { Store } from "../../store/store.js";

/** The stream of the hub brings in milliseconds what its answer rests on. */
const patienceMs = 2_000;
const lookMs = 10;

export interface OwnReadsDeps {
  readonly store: Pick<Store, "getConnection">;
  readonly names: Pick<ConnectionNames, "findFor">;
  readonly readAudit: Pick<ReadAudit, "read">;
  /** Whether the copy is being told at all. */
  readonly isConnected: () => boolean;
  readonly clock: Clock;
}

/** What answers of a hub and requests for it may say; none says all of it. */
interface Said {
  readonly connectionId?: string;
  readonly name?: ConnectionName;
  readonly providerName?: string;
  readonly userId?: string;
  readonly label?: string;
  readonly connection?: ConnectionMessage;
  readonly token?: Token;
  readonly result?: AcquireTokenResponse["result"];
}

/** Callers read what they wrote: the copy has what a hub answered, before the answer leaves. */
export class OwnReads {
  constructor(private readonly deps: OwnReadsDeps) {}

  /** Resolves when it has, or does not get it within 2 s. A token of the answer is on record then. @throws Unavailable when it cannot be */
  async answered(request: Message, answer: Message, caller: Principal): Promise<void> {
    const asked = request as Said;
    const { connection, token: plain, result } = answer as Said;
    const token = plain ?? (result?.case === "token" ? result.value : undefined);
    const isDeleted = answer.$typeName === "nexus.v1.DeleteConnectionResponse";
    if (!connection && !token && !isDeleted) return;
    const isCopied = (): boolean => {
      const id = connection?.id ?? this.#idOf(asked, caller);
      const copied = id === undefined ? undefined : this.deps.store.getConnection(id);
      if (isDeleted || !copied) return isDeleted && !copied;
      const revision = token?.revision ?? connection?.revision ?? 0n;
      const isOfStatus = connection === undefined || copied.status === statusOf(connection.status);
      return copied.credentialRevision >= revision && isOfStatus;
    };
    await this.#until(isCopied);
    const id = token && this.#idOf(asked, caller);
    if (token && id !== undefined) await this.deps.readAudit.read(caller, id, token.revision);
  }

  #idOf({ connectionId, name, providerName, userId, label }: Said, caller: Principal): string | undefined {
    if (connectionId) return connectionId;
    if (name) return this.deps.names.findFor(name, caller);
    if (!providerName || userId === undefined) return undefined;
    return this.deps.names.findFor({ providerName, userId, label: label ?? "" }, caller);
  }

  async #until(isCopied: () => boolean): Promise<void> {
    const { clock, isConnected } = this.deps;
    const untilMs = clock.monotonicMs() + patienceMs;
    while (!isCopied() && isConnected() && clock.monotonicMs() < untilMs) await delay(clock, lookMs);
  }
}
