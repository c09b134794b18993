import type { Message } from "@bufbuild/protobuf";
import type { ReadAudit } from "../../domain/tokens/read_audit.js";
import type { CheckResponse } from "../../gen/envoy/service/auth/v3/external_auth_pb.js";
import type { Connection as ConnectionMessage } from "../../gen/nexus/v1/connection_pb.js";
import type { AcquireTokenRequest, AcquireTokenResponse, Token } from "../../gen/nexus/v1/token_pb.js";
import type { Principal } from "../../model/access/principal.js";
import type { ConnectionName } from "../../model/connections/connection_name.js";
import { Unavailable } from "../../model/errors.js";
import { type Clock, delay } from "../../runtime/clock.js";
import { type CallersSight, connectionIn } from "../../service/fleet/callers_sight.js";
import { statusOf } from "../../service/messages/connection_message.js";
import { metadataFields } from "../../service/pipeline/check_message.js";
import type { Store } from "../../store/store.js";

/** The stream of the hub brings in milliseconds what its answer rests on. */
const patienceMs = 2_000;
const lookMs = 10;

export interface OwnReadsDeps {
  readonly store: Pick<Store, "getConnection">;
  readonly sight: Pick<CallersSight, "connectionOf" | "nameOf">;
  readonly readAudit: Pick<ReadAudit, "read">;
  /** Whether the copy is being told at all. */
  readonly isConnected: () => boolean;
  /** Has the hub tell its profiles. Rejects when it does not. */
  readonly takeProviders: () => Promise<void>;
  readonly clock: Clock;
}

/** What answers of a hub may say; none says all of it. */
interface Said {
  readonly connection?: ConnectionMessage;
  readonly token?: Token;
  readonly result?: AcquireTokenResponse["result"];
  readonly dynamicMetadata?: CheckResponse["dynamicMetadata"];
}

const providerWrites: ReadonlySet<string> = new Set(
  ["Create", "Update", "Delete"].map((verb) => `nexus.v1.${verb}ProviderResponse`),
);

/** Callers read what they wrote: the copy has what a hub answered, before the answer leaves. */
export class OwnReads {
  constructor(private readonly deps: OwnReadsDeps) {}

  /** Resolves when it has, or does not get it within 2 s. */
  async copied(request: Message, answer: Message, caller: Principal): Promise<void> {
    if (providerWrites.has(answer.$typeName)) {
      const told = this.deps.takeProviders().catch(() => undefined);
      await Promise.race([told, delay(this.deps.clock, patienceMs)]);
      return;
    }
    const { connection } = answer as Said;
    const isDeleted = answer.$typeName === "nexus.v1.DeleteConnectionResponse";
    const read = readRevision(answer);
    if (read === undefined && connectionIn(answer) === undefined && !isDeleted) return;
    await this.#until(() => {
      const id = this.#idOf(request, answer, caller);
      const copied = id === undefined ? undefined : this.deps.store.getConnection(id);
      if (isDeleted || !copied) return isDeleted && !copied;
      const revision = read ?? connection?.revision ?? 0n;
      const isOfStatus = connection === undefined || copied.status === statusOf(connection.status);
      return copied.credentialRevision >= revision && isOfStatus;
    });
  }

  /** Resolves when the read of a token of the answer is durable. @throws Unavailable when it cannot be */
  async recorded(request: Message, answer: Message, caller: Principal): Promise<void> {
    const revision = readRevision(answer);
    if (revision === undefined) return;
    const id = this.#idOf(request, answer, caller);
    if (id === undefined)
      throw new Unavailable(
        "the read of the token cannot be recorded: this spoke has no copy of it yet",
        1_000,
      );
    await this.deps.readAudit.read(caller, id, revision);
  }

  #idOf(request: Message, answer: Message, caller: Principal): string | undefined {
    const told = connectionIn(answer);
    if (told !== undefined) return told;
    const { connectionId, name } = request as { connectionId?: string; name?: ConnectionName };
    if (connectionId) return connectionId;
    const isAcquired = request.$typeName === "nexus.v1.AcquireTokenRequest";
    const asked = isAcquired ? this.deps.sight.nameOf(request as AcquireTokenRequest) : name;
    return asked && this.deps.sight.connectionOf(asked, caller);
  }

  async #until(isCopied: () => boolean): Promise<void> {
    const { clock, isConnected } = this.deps;
    const untilMs = clock.monotonicMs() + patienceMs;
    while (!isCopied() && isConnected() && clock.monotonicMs() < untilMs) await delay(clock, lookMs);
  }
}

/** Of the token in an answer, or of the credential that it puts into a request of a proxy. */
function readRevision(answer: Message): bigint | undefined {
  const { token: plain, result, dynamicMetadata } = answer as Said;
  const token = plain ?? (result?.case === "token" ? result.value : undefined);
  if (token) return token.revision;
  const injected = dynamicMetadata?.[metadataFields.revision];
  return typeof injected === "string" && /^\d{1,20}$/.test(injected) ? BigInt(injected) : undefined;
}
