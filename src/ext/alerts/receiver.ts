import type { NotificationType } from "./outbox/notification.js";

/** A notification as it is sent. */
export interface NotificationMessage {
  /** The same at each attempt: a receiver that sees one twice drops it. */
  readonly id: string;
  readonly type: NotificationType;
  /** JSON: `type`, `timestamp` and `data`. */
  readonly body: string;
}

/** What came of an attempt. */
export type Delivery =
  | { readonly kind: "taken" }
  /** The receiver wants nothing more of this one (410 Gone). */
  | { readonly kind: "gone" }
  | {
      readonly kind: "failed";
      /** A stable word, as `http_500`, `timeout`, `exit_1`. */
      readonly reason: string;
      readonly retryAfterMs: number | undefined;
      /** It is not about this notification: none would be taken now. */
      readonly isUnreachable: boolean;
    };

/** Where notifications go. */
export interface Receiver {
  readonly name: string;
  wants(type: NotificationType): boolean;
  /** Never throws for what the receiver does. */
  send(message: NotificationMessage, signal: AbortSignal): Promise<Delivery>;
}
