import { newId } from "../../model/ids.js";
import type { NotifiedEvent, PendingNotification } from "../../model/notifications/notification.js";
import type { NotificationMessage } from "../../model/notifications/receiver.js";
import { problemMessages } from "../../model/problem_reason.js";

/**
 * A notification as receivers get it, by the conventions of Standard Webhooks: `type`, `timestamp` and `data`.
 *
 * @param link leads a person to the consent
 */
export function messageOf(
  event: NotifiedEvent | PendingNotification,
  atMs: number,
  link: string | undefined,
): NotificationMessage {
  const { type, connectionId, providerId, providerName, userId, label, reason, endsAtMs } = event;
  const data = {
    ...(connectionId !== undefined && { connection_id: connectionId, user_id: userId }),
    ...(label !== "" && { label }),
    ...(providerId !== "" && { provider_id: providerId, provider: providerName }),
    ...(reason !== "" && { reason, message: sentenceOf(reason) }),
    ...(endsAtMs !== undefined && { ends_at: timeText(endsAtMs) }),
    ...(link !== undefined && { link }),
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
