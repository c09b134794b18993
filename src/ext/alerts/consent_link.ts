import type { Connection } from "../../model/connections/connection.js";
import type { NotificationType } from "../../model/notifications/notification.js";

/** What a link in a notification leads to: a consent for one connection, as long as what the notification reports goes on. */
export interface ConsentLink {
  readonly connectionId: string;
  readonly type: NotificationType;
  /** `occasionOf` the connection when the link was made. */
  readonly occasion: string;
}

/**
 * What a notification reports, as far as it goes on: another consent ends it, and so its links.
 *
 * @returns undefined when a person has nothing to do
 */
export function occasionOf(type: NotificationType, connection: Connection): string | undefined {
  const { status, problem, refreshExpiresAtMs, credentialRevision } = connection;
  switch (type) {
    case "connection.attention":
      return status === "attention" && problem ? `${problem.sinceMs}` : undefined;
    case "connection.expiring":
      return status === "active" && refreshExpiresAtMs !== undefined ? `${refreshExpiresAtMs}` : undefined;
    case "connection.unrefreshable":
      return isEnding(connection) ? `${credentialRevision}` : undefined;
    default:
      return undefined;
  }
}

/** Its token ends, and nothing can get another. */
export function isEnding({ status, refreshable, expiresAtMs }: Connection): boolean {
  return status === "active" && !refreshable && expiresAtMs !== undefined;
}
