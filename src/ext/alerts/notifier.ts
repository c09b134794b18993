import { setMaxListeners } from "node:events";
import { newId, problemMessages } from "../../model/model.js";
import {
  type Backoff,
  type Changes,
  type Clock,
  type DueWork,
  DueWorker,
  type Log,
  retryDelayMs,
} from "../../runtime/runtime.js";
import type { Store } from "../../store/store.js";
import type { ConsentLinks } from "./consent_links.js";
import type { NotificationOutbox } from "./notification_outbox.js";
import type { NotifiedEvent, PendingNotification } from "./outbox/notification.js";
import { plannedIn } from "./outbox/notification_plans.js";
import { type DueLine, outboxIn, outboxOf } from "./outbox/notification_queue.js";
import type { Delivery, NotificationMessage, Receiver } from "./receiver.js";

const backoff: Backoff = { baseMs: 2_000, maxMs: 5 * 60_000 };

/** Receivers that could not be reached: they get one notification at a time, less and less often. */
class ReceiverPauses {
  readonly #failing = new Map<string, { readonly failures: number; readonly untilMs: number }>();

  constructor(private readonly deps: { readonly clock: Clock; readonly random: () => number }) {}

  /** 0 for one that answers. */
  untilMs(receiver: string): number {
    return this.#failing.get(receiver)?.untilMs ?? 0;
  }

  isFailing(receiver: string): boolean {
    return this.#failing.has(receiver);
  }

  answered(receiver: string): void {
    this.#failing.delete(receiver);
  }

  failed(receiver: string, retryAfterMs: number | undefined): void {
    const failures = (this.#failing.get(receiver)?.failures ?? 0) + 1;
    const waitMs = retryDelayMs(backoff, failures, this.deps.random(), retryAfterMs);
    this.#failing.set(receiver, { failures, untilMs: this.deps.clock.nowMs() + waitMs });
  }
}

/** A receiver that takes nothing for so long is not notified any more. */
const giveUpAfterMs = 24 * 60 * 60_000;
const retryBackoff: Backoff = { baseMs: 5_000, maxMs: 30 * 60_000 };
const perReceiver = 4;
const batch = 256;
/** What is being sent when the daemon stops may end by itself for so long. */
const stopMs = 2_000;

/** What is sent next; without a line, what has become due for the outbox. */
interface Due extends DueWork {
  readonly line: DueLine | undefined;
}

/** Sends what is in the outbox: in order per receiver and subject, again and again for a day. A dead receiver holds up no other. */
export class Notifier {
  readonly #worker: DueWorker<Due>;
  readonly #pauses: ReceiverPauses;
  /** Of tests, which are not in the outbox. */
  readonly #ended = new AbortController();

  constructor(
    private readonly deps: {
      readonly store: Store;
      readonly outbox: NotificationOutbox;
      /** Undefined where notifications carry no links. */
      readonly links: ConsentLinks | undefined;
      readonly receivers: () => readonly Receiver[];
      readonly changes: Changes;
      readonly clock: Clock;
      readonly random: () => number;
      readonly log: Log;
      readonly onOutcome: (outcome: "taken" | "failed" | "given_up") => void;
    },
  ) {
    const { clock, log } = deps;
    // A test goes to all receivers at once.
    setMaxListeners(0, this.#ended.signal);
    this.#pauses = new ReceiverPauses(deps);
    this.#worker = new DueWorker({
      ...{ clock, stopMs, atMost: Number.POSITIVE_INFINITY },
      // While nobody knows whether it is back, one asks.
      atMostIn: (receiver) => (this.#pauses.isFailing(receiver) ? 1 : perReceiver),
      next: () => this.#next(),
      run: (due, signal) => (due.line === undefined ? this.#putExpiries() : this.#attempt(due.line, signal)),
      onError: (error, { line }) =>
        log.error({ err: error, receiver: line?.receiver }, "a notification failed"),
    });
    // Most commits put nothing into the outbox, and are announced to watchers while this is asked.
    deps.changes.on("connections", () => {
      if (deps.outbox.consumeDirtyFlag()) this.wake();
    });
  }

  start(): void {
    if (this.deps.receivers().length > 0) this.#worker.start();
  }

  /** Looks at the outbox. */
  wake(): void {
    this.#worker.wake();
  }

  /** What is being sent may end; what does not is cut off and stays in the outbox. */
  async stop(): Promise<void> {
    await this.#worker.stop();
    this.#ended.abort();
  }

  /** Sends a test to each receiver, or to one, outside of the outbox. */
  async test(
    name: string | undefined,
  ): Promise<{ readonly receiver: string; readonly delivery: Delivery }[]> {
    const receivers = this.deps.receivers().filter((each) => name === undefined || each.name === name);
    const event: NotifiedEvent = {
      type: "test",
      connectionId: undefined,
      providerId: "",
      providerName: "",
      userId: "",
      label: "",
      reason: "",
      endsAtMs: undefined,
    };
    return await Promise.all(
      receivers.map(async (receiver) => {
        const message = messageOf(event, this.deps.clock.nowMs(), undefined);
        return { receiver: receiver.name, delivery: await receiver.send(message, this.#ended.signal) };
      }),
    );
  }

  /** The first of each receiver and subject, and the tokens that are about to expire. */
  *#next(): Generator<Due> {
    const { store } = this.deps;
    const expiryMs = plannedIn(store).nextExpiryMs;
    if (expiryMs !== undefined) yield { key: "expiries", lane: "", dueAtMs: expiryMs, line: undefined };
    for (const line of outboxIn(store).due(2 * perReceiver)) {
      const dueAtMs = Math.max(line.nextAttemptMs, this.#pauses.untilMs(line.receiver));
      yield { key: keyOf(line), lane: line.receiver, dueAtMs, line };
    }
  }

  async #putExpiries(): Promise<void> {
    const { store, outbox, clock } = this.deps;
    const due = plannedIn(store).dueExpiries(clock.nowMs(), batch);
    await store.commit((tx) => {
      for (const { connectionId } of due) outbox.expiring(tx, connectionId);
    });
  }

  async #attempt(due: DueLine, signal: AbortSignal): Promise<void> {
    const { store, log } = this.deps;
    const receiver = this.deps.receivers().find(({ name }) => name === due.receiver);
    const notification = outboxIn(store).first(due);
    // The receiver is not there any more, or the record cannot be read.
    if (!receiver || !notification) {
      log.warn({ receiver: due.receiver }, "notification dropped");
      return await this.#over(due);
    }
    const delivery = await this.#sent(receiver, notification, signal);
    if (delivery.kind !== "failed") {
      this.#pauses.answered(due.receiver);
      this.deps.onOutcome(delivery.kind === "taken" ? "taken" : "given_up");
      return await this.#over(due);
    }
    // Cut off by the end of the daemon: it says nothing about the receiver.
    if (signal.aborted) return;
    if (delivery.isUnreachable) this.#pauses.failed(due.receiver, delivery.retryAfterMs);
    else this.#pauses.answered(due.receiver);
    await this.#failed(due, notification, delivery);
  }

  /** One that this program cannot send is put off like one that is not taken: the others of its receiver do not wait for it. */
  async #sent(receiver: Receiver, notification: PendingNotification, signal: AbortSignal): Promise<Delivery> {
    try {
      return await receiver.send(await this.#messageOf(notification), signal);
    } catch (error) {
      this.deps.log.error({ err: error, receiver: receiver.name }, "notification could not be sent");
      return { kind: "failed", reason: "internal", retryAfterMs: undefined, isUnreachable: false };
    }
  }

  async #messageOf(notification: PendingNotification): Promise<NotificationMessage> {
    const link = await this.deps.links?.make(notification);
    return messageOf(notification, notification.createdAtMs, link);
  }

  async #failed(
    due: DueLine,
    notification: PendingNotification,
    { reason, retryAfterMs }: Extract<Delivery, { kind: "failed" }>,
  ): Promise<void> {
    const { store, clock, random, log } = this.deps;
    const { id, receiver, type, createdAtMs } = notification;
    const nowMs = clock.nowMs();
    const attempts = notification.attempts + 1;
    if (nowMs - createdAtMs >= giveUpAfterMs) {
      log.error(
        { receiver, type, notificationId: id, reason, attempts },
        "notification given up after a day",
      );
      this.deps.onOutcome("given_up");
      return await this.#over(due);
    }
    log.warn({ receiver, type, notificationId: id, reason, attempts }, "notification not taken yet");
    this.deps.onOutcome("failed");
    const waitMs = retryDelayMs(retryBackoff, attempts, random(), retryAfterMs);
    await store.commit((tx) => outboxOf(tx).putOff(due, { ...notification, attempts }, nowMs + waitMs));
  }

  async #over(due: DueLine): Promise<void> {
    await this.deps.store.commit((tx) => outboxOf(tx).removeFirst(due, this.deps.clock.nowMs()));
  }
}

function keyOf({ receiver, subject }: DueLine): string {
  return `${receiver} ${subject}`;
}

/**
 * A notification as receivers get it, by the conventions of Standard Webhooks: `type`, `timestamp` and `data`.
 *
 * @param link leads a person to the consent, or to what is to be approved
 */
export function messageOf(
  event: NotifiedEvent | PendingNotification,
  atMs: number,
  link: string | undefined,
  more: Readonly<Record<string, string>> = {},
): NotificationMessage {
  const { type, connectionId, providerId, providerName, userId, label, reason, endsAtMs } = event;
  const data = {
    ...(connectionId !== undefined && { connection_id: connectionId, user_id: userId }),
    ...(label !== "" && { label }),
    ...(providerId !== "" && { provider_id: providerId, provider: providerName }),
    ...(reason !== "" && { reason, message: sentenceOf(reason) }),
    ...(endsAtMs !== undefined && { ends_at: timeText(endsAtMs) }),
    ...(link !== undefined && { link }),
    ...more,
  };
  const id = "id" in event ? event.id : `msg_${newId()}`;
  return { id, type, body: JSON.stringify({ type, timestamp: timeText(atMs), data }) };
}

function sentenceOf(reason: string): string | undefined {
  return Object.entries(problemMessages).find(([word]) => word === reason)?.[1];
}

/** RFC 3339. */
function timeText(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
