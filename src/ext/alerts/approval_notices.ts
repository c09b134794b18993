import { type Changes, type Clock, delay, type Log, type WaitingRequest } from "../../runtime/runtime.js";
import { messageOf } from "./notifier.js";
import type { NotificationMessage, Receiver } from "./receiver.js";

/** What ends at once is not reported. */
const settleMs = 1_000;
const retryMs = 5_000;
const type = "approval.waiting";

/**
 * Reports requests that wait for a person to receivers, each once, for as long as it waits. Nothing of it is stored: a restart ends what waits.
 * A receiver gets one at a time, so that an agent which asks and leaves sends no flood.
 */
export class ApprovalNotices {
  /** By receiver: what it is sent. */
  readonly #turns = new Map<string, Promise<unknown>>();

  constructor(
    private readonly deps: {
      readonly receivers: () => readonly Receiver[];
      readonly changes: Changes;
      /** Whether messages lead to the page of the request. */
      readonly hasLinks: boolean;
      readonly clock: Clock;
      readonly log: Log;
      readonly onOutcome: (outcome: "taken" | "failed" | "given_up") => void;
    },
  ) {
    deps.changes.on("requestHeld", (waiting) => {
      for (const receiver of deps.receivers()) if (receiver.wants(type)) void this.#tell(receiver, waiting);
    });
  }

  async #tell(receiver: Receiver, waiting: WaitingRequest): Promise<void> {
    const { clock, log, onOutcome } = this.deps;
    const { ended } = waiting;
    const message = this.#messageOf(waiting);
    await delay(clock, settleMs, ended);
    while (!ended.aborted) {
      const delivery = await this.#inTurn(receiver, message, ended);
      if (delivery === undefined) return;
      onOutcome(delivery.kind === "failed" ? "failed" : "taken");
      if (delivery.kind !== "failed") return;
      log.warn({ receiver: receiver.name, type, reason: delivery.reason }, "notification not taken yet");
      await delay(clock, Math.max(retryMs, delivery.retryAfterMs ?? 0), ended);
    }
  }

  /** @returns undefined where it waits no more */
  #inTurn(receiver: Receiver, message: NotificationMessage, ended: AbortSignal) {
    const before = this.#turns.get(receiver.name) ?? Promise.resolve();
    const turn = before.then(async () => {
      const delivery = ended.aborted ? undefined : await receiver.send(message, ended).catch(() => undefined);
      return ended.aborted ? undefined : delivery;
    });
    this.#turns.set(receiver.name, turn);
    return turn;
  }

  /** Nothing of the request itself: who gets the message need not be somebody who may read it. */
  #messageOf({
    caller,
    connectionId,
    userId,
    provider,
    expiresAtMs,
    url,
  }: WaitingRequest): NotificationMessage {
    const event = {
      ...({ type, connectionId, userId, providerId: provider.id, providerName: provider.name } as const),
      ...{ label: "", reason: "", endsAtMs: expiresAtMs },
    };
    const link = this.deps.hasLinks ? url : undefined;
    return messageOf(event, this.deps.clock.nowMs(), link, { caller });
  }
}
