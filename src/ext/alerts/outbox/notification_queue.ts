import {
  countEntry,
  countOf,
  type Databases,
  firstOfEach,
  nothing,
  type Store,
  type Transaction,
  unlessUnreadable,
} from "../../../store/store.js";
import type { PendingNotification } from "./notification.js";
import { subjectOf } from "./notification.js";
import { decodeNotification, encodeNotification } from "./notification_codec.js";
import { notifications, notificationsDue } from "./tables.js";

/** One receiver and one subject: its notifications are in order. */
export interface NotificationLine {
  readonly receiver: string;
  readonly subject: string;
}

export interface DueLine extends NotificationLine {
  readonly nextAttemptMs: number;
}

/** More than these wait for no receiver: newer ones are dropped. A receiver that takes nothing crowds out no other. */
const maxNotificationsPerReceiver = 100_000n;

/** What receivers have not taken yet, in order per receiver and subject. Only the first of a line is due. */
export class NotificationReads {
  protected readonly entries;
  protected readonly dueLines;

  constructor(protected readonly databases: Databases) {
    this.entries = notifications.of(databases);
    this.dueLines = notificationsDue.of(databases);
  }

  /** Of each receiver the lines whose first notification is due first. @param limit of each, so that none hides another's */
  due(limit: number): DueLine[] {
    const keys = firstOfEach(this.dueLines, limit);
    return keys.map(([receiver, nextAttemptMs, subject]) => ({ receiver, nextAttemptMs, subject }));
  }

  /** Undefined when the line is empty, or its first record cannot be read. */
  first(line: NotificationLine): PendingNotification | undefined {
    const key = this.firstKey(line);
    const bytes = key && this.entries.getBinary(key);
    return bytes && unlessUnreadable(() => decodeNotification(line.receiver, bytes));
  }

  /** Of all receivers. */
  get count(): number {
    return Number(countOf(this.databases, notifications));
  }

  protected firstKey({ receiver, subject }: NotificationLine): [string, string, number] | undefined {
    for (const key of this.entries.getKeys({ start: [receiver, subject, 0], limit: 1 })) {
      return key[0] === receiver && key[1] === subject ? key : undefined;
    }
    return undefined;
  }

  protected lastNumber({ receiver, subject }: NotificationLine): number {
    const range = { start: [receiver, subject, Number.MAX_SAFE_INTEGER] as [string, string, number] };
    for (const key of this.entries.getKeys({ ...range, reverse: true, limit: 1 })) {
      return key[0] === receiver && key[1] === subject ? key[2] : 0;
    }
    return 0;
  }
}

/** Inside a transaction. */
export class NotificationQueue extends NotificationReads {
  /** At the end of its line. @param most that wait for its receiver; @returns false when they do: nothing was written */
  append(notification: PendingNotification, most = maxNotificationsPerReceiver): boolean {
    const { receiver } = notification;
    if (countOf(this.databases, notifications, receiver) >= most) return false;
    const subject = subjectOf(notification);
    const last = this.lastNumber({ receiver, subject });
    this.entries.putSync([receiver, subject, last + 1], encodeNotification(notification));
    countEntry(this.databases, notifications, receiver, 1n);
    if (last === 0) this.dueLines.putSync([receiver, notification.createdAtMs, subject], nothing);
    return true;
  }

  /** The first of a line failed: it is due again then. */
  putOff(due: DueLine, notification: PendingNotification, nextAttemptMs: number): void {
    const key = this.firstKey(due);
    if (!key) return;
    this.entries.putSync(key, encodeNotification(notification));
    this.dueLines.removeSync([due.receiver, due.nextAttemptMs, due.subject]);
    this.dueLines.putSync([due.receiver, nextAttemptMs, due.subject], nothing);
  }

  /** The first of a line is over: the next one is due now. */
  removeFirst(due: DueLine, nowMs: number): void {
    const key = this.firstKey(due);
    if (key) {
      this.entries.removeSync(key);
      countEntry(this.databases, notifications, due.receiver, -1n);
    }
    this.dueLines.removeSync([due.receiver, due.nextAttemptMs, due.subject]);
    if (this.firstKey(due)) this.dueLines.putSync([due.receiver, nowMs, due.subject], nothing);
  }
}

export function outboxIn(store: Store): NotificationReads {
  return store.raw((databases) => new NotificationReads(databases));
}

export function outboxOf(tx: Transaction): NotificationQueue {
  return tx.raw((databases) => new NotificationQueue(databases));
}
