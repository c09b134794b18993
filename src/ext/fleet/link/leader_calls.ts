import { type Client, Code, ConnectError } from "@connectrpc/connect";
import type { RefreshOptions } from "../../../domain/grants/grants.js";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import type { FleetService, PageRequest, PageResponse } from "../../../gen/nexus/fleet/v1/fleet_pb.js";
import type { Principal } from "../../../model/access/access.js";
import type { RefreshOutcome } from "../../../model/connections/connections.js";
import { Unavailable } from "../../../model/model.js";
import { type Clock, delay, isRefused } from "../../../runtime/runtime.js";
import { codes, WireError, wireErrorOf } from "../../../service/service.js";
import { callerOf, notLeader } from "../calls/fleet_service.js";
import type { LeadingRefresher } from "../calls/led_refresher.js";
import type { Leader } from "../calls/led_service.js";
import { WriteLimit } from "../calls/write_limit.js";
import type { CommitWait } from "../database/log/commit_wait.js";
import { HubChannel, HubUnreachable } from "./hub_channel.js";
import type { LinkKeys } from "./link_tls.js";

/** How long a request waits for a hub that leads: a lease that ran out, and the start of the next leader. */
const answerTimeoutMs = 15_000;
/** Between two tries, when nothing is known of another leader. */
const retryMs = 250;
/** For the whole: a device code, or a refresh behind others, takes no longer. A caller that means to wait ends it itself. */
const wholeMs = 60_000;
/** What was answered is applied here in a millisecond; a feed that hangs does not hold up the answer for long. */
const applyMs = 5_000;

type FleetClient = Client<typeof FleetService>;
type Send<T> = (
  client: FleetClient,
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
) => Promise<T>;

export interface LeaderCallsDeps {
  /** Address of this hub, for the audit log. */
  readonly via: string;
  readonly keys: LinkKeys;
  /** Address of the hub that leads, `here`, or undefined while none is known to. */
  readonly leader: () => string | "here" | undefined;
  /** Resolves when `leader` may answer otherwise. */
  readonly leaderChanged: () => Promise<void>;
  /** Resolves when the replica has a position, or when the signal aborts. */
  readonly applied: (position: bigint, signal: AbortSignal) => Promise<void>;
  readonly catchUp: () => Promise<void>;
  readonly recorded: () => Promise<void>;
  /** See `Leader`. */
  readonly ignoresLimits: () => boolean;
  /** Of this hub, while it leads. */
  readonly commitWait: () => CommitWait | undefined;
  readonly clock: Clock;
  /** Called with the outcome of each forwarded request: `ok`, `unreachable` (nothing was sent), `lost` (it may have been acted on). */
  readonly onForwarded?: (outcome: "ok" | "unreachable" | "lost") => void;
}

/**
 * What a follower has the leader do. A request waits for a leader before it is sent; once it was sent it is never sent again, because
 * the leader may have acted on it.
 */
export class LeaderCalls implements Leader, LeadingRefresher {
  #channel: HubChannel | undefined;
  readonly #writeLimit: WriteLimit;

  constructor(private readonly deps: LeaderCallsDeps) {
    this.#writeLimit = new WriteLimit(deps);
  }

  get isHere(): boolean {
    return this.deps.leader() === "here";
  }

  get ignoresLimits(): boolean {
    return this.deps.ignoresLimits();
  }

  call: Leader["call"] = async (method, request, principal: Principal, signal, wait) => {
    const caller = callerOf(principal);
    const { via } = this.deps;
    const hasWaited = wait === "person" || wait === "exchange";
    const answer = await this.#ask(signal, (client, options) =>
      client.call(
        { method, request, caller, hasWaited, exchangeOverdue: wait === "exchange", via },
        wait === "meant" ? { signal } : options,
      ),
    );
    if (answer === "here") return answer;
    if (answer.outcome.case === "error") throw wireErrorOf(answer.outcome.value);
    return answer.outcome.value ?? new Uint8Array();
  };

  async refresh(connectionId: string, { onlyRevision }: RefreshOptions): Promise<RefreshOutcome | "here"> {
    const request = { connectionId, isDemanded: true, ...(onlyRevision !== undefined && { onlyRevision }) };
    const answer = await this.#ask(new AbortController().signal, (client, options) =>
      client.refresh(request, options),
    );
    return answer === "here" ? answer : (answer.outcome as RefreshOutcome);
  }

  /** @throws Unavailable */
  async page(request: Omit<PageRequest, "$typeName" | "$unknown" | "via">): Promise<PageResponse | "here"> {
    const { via } = this.deps;
    return await this.#ask(new AbortController().signal, (client, options) =>
      client.page({ ...request, via }, options),
    );
  }

  /**
   * For what hubs hand over, to which no position belongs.
   *
   * @param onForwarded called as that of the others; nothing is counted for a question that nobody asked this hub
   * @throws Unavailable, or the reason of `signal`
   */
  async hand<T extends object>(
    signal: AbortSignal,
    send: Send<T>,
    onForwarded = this.deps.onForwarded,
  ): Promise<T | "here"> {
    const sent: Send<T & { readonly position: bigint }> = async (client, options) => ({
      ...(await send(client, options)),
      position: 0n,
    });
    return await this.#ask(signal, sent, onForwarded);
  }

  readonly limited = <T>(work: Promise<T>) => this.#writeLimit.within(work);
  readonly catchUp = () => this.deps.catchUp();
  readonly recorded = () => this.deps.recorded();

  close(): void {
    this.#channel?.close();
  }

  async #ask<T extends { readonly position: bigint }>(
    signal: AbortSignal,
    send: Send<T>,
    onForwarded = this.deps.onForwarded,
  ): Promise<T | "here"> {
    const { leader, leaderChanged, clock } = this.deps;
    const startedMs = clock.monotonicMs();
    const untilMs = startedMs + answerTimeoutMs;
    for (;;) {
      signal.throwIfAborted();
      const address = leader();
      if (address === "here") return address;
      const answer = address && (await this.#try(address, startedMs, signal, send, onForwarded));
      if (answer) {
        onForwarded?.("ok");
        await this.#applied(answer.position);
        return answer;
      }
      if (clock.monotonicMs() >= untilMs) {
        onForwarded?.("unreachable");
        throw new Unavailable("no hub of the fleet leads, or it cannot be reached: nothing was done", 2_000);
      }
      await Promise.race([leaderChanged(), delay(clock, retryMs, signal)]);
    }
  }

  /** @returns undefined when nothing was done, and another hub may be asked */
  async #try<T>(
    address: string,
    startedMs: number,
    signal: AbortSignal,
    send: Send<T>,
    onForwarded: LeaderCallsDeps["onForwarded"],
  ): Promise<T | undefined> {
    try {
      const client = await this.#opened(address, startedMs + answerTimeoutMs);
      const timeoutMs = Math.ceil(startedMs + wholeMs - this.deps.clock.monotonicMs());
      return await send(client, { signal, timeoutMs });
    } catch (error) {
      if (error instanceof HubUnreachable || isNotLeader(error) || isRefused(error)) return undefined;
      signal.throwIfAborted();
      if (!(error instanceof ConnectError)) throw error;
      onForwarded?.("lost");
      throw lost(error);
    }
  }

  /** @throws HubUnreachable, also when it is not open in time: a packet that a network drops is answered by nobody */
  async #opened(address: string, untilMs: number): Promise<FleetClient> {
    const { clock, keys } = this.deps;
    // What the old leader still answers comes over its channel, which closes when it is idle.
    if (this.#channel?.address !== address) this.#channel = new HubChannel(address, keys);
    const channel = this.#channel;
    const settled = new AbortController();
    const late = delay(clock, untilMs - clock.monotonicMs(), settled.signal).then(() => undefined);
    const client = await Promise.race([channel.open(), late]).finally(() => settled.abort());
    if (client !== undefined) return client;
    channel.close();
    if (this.#channel === channel) this.#channel = undefined;
    throw new HubUnreachable(`the hub at ${address} does not answer`);
  }

  async #applied(position: bigint): Promise<void> {
    const late = new AbortController();
    const timer = this.deps.clock.setTimer(applyMs, () => late.abort());
    await this.deps.applied(position, late.signal);
    timer.cancel();
  }
}

function isNotLeader(error: unknown): boolean {
  if (!(error instanceof ConnectError) || error.code !== Code.Unavailable) return false;
  const { reason, domain } = notLeader;
  return error.findDetails(ErrorInfoSchema).some((info) => info.reason === reason && info.domain === domain);
}

/** An error of the leader itself is one of ours. A stream or link that breaks has such codes too, but no status that the leader sent. */
function lost(error: ConnectError): WireError {
  const isOurs = [Code.InvalidArgument, Code.Unimplemented, Code.Internal].includes(error.code);
  if (isOurs && error.metadata.has("grpc-status"))
    return new WireError(codes.internal, "internal error", [], error);
  const text =
    "the hub that leads went away, or did not answer in time: look whether the request was acted on";
  return new WireError(codes.unavailable, text, [], error);
}
