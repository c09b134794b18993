import type { Connection } from "../../model/connections/connections.js";
import { newId } from "../../model/model.js";
import type { Suspension } from "../../model/providers/providers.js";
import type { Clock, Log } from "../../runtime/runtime.js";
import type { Transaction, WriteObserver } from "../../store/store.js";
import { isEnding } from "./consent_links.js";
import type { NotificationType, NotifiedEvent } from "./outbox/notification.js";
import { plansOf } from "./outbox/notification_plans.js";
import { outboxOf } from "./outbox/notification_queue.js";
import type { Receiver } from "./receiver.js";

/**
 * Of the time that a consent has left when its end becomes known: the end is reported no sooner than this part of it before. So what each
 * refresh prolongs is not reported.
 */
const leadPart = 0.2;

/** Puts events into the outbox, for each receiver that wants them, in the commit in which they happen. */
export class NotificationOutbox implements WriteObserver {
  #hasNews = false;

  constructor(
    private readonly deps: {
      readonly receivers: () => readonly Receiver[];
      /** How long before the end of a consent it is reported. */
      readonly expiryLeadMs: number;
      readonly clock: Clock;
      readonly log: Log;
    },
  ) {}

  /** Whether something was put in, or planned, since it was asked last. */
  consumeDirtyFlag(): boolean {
    const had = this.#hasNews;
    this.#hasNews = false;
    return had;
  }

  connection(tx: Transaction, before: Connection | undefined, after: Connection | undefined): void {
    this.#unlessFailed(() => {
      const id = before?.id ?? after?.id ?? "";
      const endsAtMs = consentEndsAtMs(after);
      if (endsAtMs !== consentEndsAtMs(before)) {
        this.#hasNews = true;
        plansOf(tx).setExpiry(id, endsAtMs === undefined ? undefined : this.#tellAtMs(endsAtMs));
      }
      if (!after) return;
      for (const type of edgesOf(before, after)) this.#append(tx, eventOf(type, after));
    });
  }

  suspension(tx: Transaction, before: Suspension | undefined, after: Suspension | undefined): void {
    this.#unlessFailed(() => {
      const [was, is] = [isSuspended(before), isSuspended(after)];
      const providerId = before?.providerId ?? after?.providerId ?? "";
      const profile = was === is ? undefined : tx.getProvider(providerId);
      // A suspension that ends with its profile is no recovery.
      if (!profile) return;
      this.#append(tx, {
        type: is ? "provider.suspended" : "provider.recovered",
        connectionId: undefined,
        providerId,
        providerName: profile.name,
        userId: "",
        label: "",
        reason: is ? "misconfigured" : "",
        endsAtMs: undefined,
      });
    });
  }

  /** The consent of the connection ends soon, if it still does. */
  expiring(tx: Transaction, connectionId: string): void {
    plansOf(tx).setExpiry(connectionId, undefined);
    const connection = tx.getConnection(connectionId);
    if (connection && consentEndsAtMs(connection) !== undefined) {
      this.#append(tx, eventOf("connection.expiring", connection));
    }
  }

  #append(tx: Transaction, event: NotifiedEvent): void {
    this.#hasNews = true;
    const createdAtMs = this.deps.clock.nowMs();
    for (const receiver of this.deps.receivers()) {
      if (!receiver.wants(event.type)) continue;
      const id = `msg_${newId()}`;
      const isTaken = outboxOf(tx).append({
        ...event,
        id,
        receiver: receiver.name,
        createdAtMs,
        attempts: 0,
      });
      if (!isTaken)
        this.deps.log.warn(
          { receiver: receiver.name, type: event.type },
          "notification dropped: too many wait",
        );
    }
  }

  #tellAtMs(endsAtMs: number): number {
    const nowMs = this.deps.clock.nowMs();
    return Math.max(nowMs, endsAtMs - Math.min(this.deps.expiryLeadMs, leadPart * (endsAtMs - nowMs)));
  }

  /** Whatever is wrong with what it reports, the commit goes on: it holds a token. */
  #unlessFailed(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.deps.log.error({ err: error }, "a notification could not be put into the outbox");
    }
  }
}

/** What a change of a connection means to those who look after it. */
export function edgesOf(before: Connection | undefined, after: Connection): NotificationType[] {
  const edges: NotificationType[] = [];
  if (after.status === "attention" && before?.status !== "attention") edges.push("connection.attention");
  if (after.status === "active" && before?.status !== "active") {
    edges.push(before?.status === "attention" ? "connection.recovered" : "connection.active");
  }
  const isSame = before && isEnding(before) && before.credentialRevision === after.credentialRevision;
  if (isEnding(after) && !isSame) edges.push("connection.unrefreshable");
  return edges;
}

function eventOf(type: NotificationType, connection: Connection): NotifiedEvent {
  const { id: connectionId, providerId, providerName, userId, label, problem } = connection;
  const endsAtMs =
    type === "connection.expiring"
      ? connection.refreshExpiresAtMs
      : type === "connection.unrefreshable"
        ? connection.expiresAtMs
        : undefined;
  const reason = type === "connection.attention" ? (problem?.reason ?? "") : "";
  return { type, connectionId, providerId, providerName, userId, label, reason, endsAtMs };
}

/** A refresh that is refused for another reason than the end of the consent does not move it. */
function consentEndsAtMs(connection: Connection | undefined): number | undefined {
  return connection?.status === "active" ? connection.refreshExpiresAtMs : undefined;
}

function isSuspended(suspension: Suspension | undefined): boolean {
  return suspension !== undefined && !suspension.unconfirmed;
}
