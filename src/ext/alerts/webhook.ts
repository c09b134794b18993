import { createHmac } from "node:crypto";
import { OutboundError, type OutboundFetch } from "../../outbound/outbound.js";
import type { Clock } from "../../runtime/runtime.js";
import type { Delivery, NotificationMessage } from "./receiver.js";
import { readWebhookSecrets } from "./webhook_secrets.js";

/** A receiver says thank you, and no more. */
const maxAnswerBytes = 64 * 1024;
/** An hour: a receiver that asks for more is called after an hour too. */
const maxRetryAfterMs = 60 * 60_000;
/** Standard Webhooks calls these throttling; the others are about this one message. */
const throttling = new Set([429, 502, 503, 504]);

export interface WebhookOptions {
  readonly url: string;
  /** Read again for each attempt, so that a secret is rotated without a restart. */
  readonly secretsFile: string;
  readonly outbound: OutboundFetch;
  readonly clock: Clock;
}

/**
 * Sends a notification by the conventions of Standard Webhooks 1.0: `webhook-id`, `webhook-timestamp` (of the attempt), and
 * `webhook-signature` with one `v1` signature (HMAC-SHA256) for each secret.
 */
export async function sendWebhook(
  { url, secretsFile, outbound, clock }: WebhookOptions,
  { id, body }: NotificationMessage,
  signal: AbortSignal,
): Promise<Delivery> {
  const secrets = readWebhookSecrets(secretsFile);
  if (secrets === undefined) return failed("secrets_unreadable", true);
  const timestamp = String(Math.floor(clock.nowMs() / 1000));
  const signature = secrets.map((secret) => `v1,${sign(secret, `${id}.${timestamp}.${body}`)}`).join(" ");
  const headers = {
    "content-type": "application/json",
    "webhook-id": id,
    "webhook-timestamp": timestamp,
    "webhook-signature": signature,
  };
  try {
    const answer = await outbound(url, { method: "POST", headers, body, signal, maxBytes: maxAnswerBytes });
    return deliveryOf(answer.status, answer.headers.get("retry-after"));
  } catch (error) {
    if (!(error instanceof OutboundError)) throw error;
    // Whatever follows the status is not read for its sake: a body that is too long changes nothing.
    if (error.reason === "too_large" && error.httpStatus !== undefined)
      return deliveryOf(error.httpStatus, null);
    return failed(error.reason, error.reason !== "redirect");
  }
}

function deliveryOf(status: number, retryAfter: string | null): Delivery {
  if (status >= 200 && status < 300) return { kind: "taken" };
  if (status === 410) return { kind: "gone" };
  const seconds = /^\d{1,6}$/.test(retryAfter ?? "") ? Number(retryAfter) : undefined;
  const retryAfterMs = seconds === undefined ? undefined : Math.min(maxRetryAfterMs, seconds * 1000);
  return { kind: "failed", reason: `http_${status}`, retryAfterMs, isUnreachable: throttling.has(status) };
}

function failed(reason: string, isUnreachable: boolean): Delivery {
  return { kind: "failed", reason, retryAfterMs: undefined, isUnreachable };
}

function sign(secret: Buffer, text: string): string {
  return createHmac("sha256", secret).update(text).digest("base64");
}
