/** What a receiver is notified of; each once per edge. `test` is sent by `nexusd notify test` alone. */
export const notificationTypes = [
  "connection.attention",
  "connection.recovered",
  "connection.active",
  "connection.expiring",
  "connection.unrefreshable",
  "provider.suspended",
  "provider.recovered",
  "approval.waiting",
] as const;
export type NotificationType = (typeof notificationTypes)[number] | "test";

/** What happened. Holds no secret. */
export interface NotifiedEvent {
  readonly type: NotificationType;
  /** Undefined for an event of a provider. */
  readonly connectionId: string | undefined;
  readonly providerId: string;
  readonly providerName: string;
  /** Empty for an event of a provider; so is the label. */
  readonly userId: string;
  readonly label: string;
  /** Word of the problem, where there is one. */
  readonly reason: string;
  /** Of `connection.expiring` and `connection.unrefreshable`: when the consent or the token ends. */
  readonly endsAtMs: number | undefined;
}

/** An event that a receiver has not taken yet. */
export interface PendingNotification extends NotifiedEvent {
  /** `webhook-id` of Standard Webhooks: the same at each attempt. */
  readonly id: string;
  readonly receiver: string;
  readonly createdAtMs: number;
  /** Attempts that failed. */
  readonly attempts: number;
}

/** What one receiver is sent in order: the connection, or else the provider. */
export function subjectOf({ connectionId, providerId }: NotifiedEvent): string {
  return connectionId ?? providerId;
}
