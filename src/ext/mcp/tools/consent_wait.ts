import { createHash } from "node:crypto";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { DaemonSession } from "../../../cli/kit.js";
import type { AcquireTokenResponse, ConsentRequired } from "../../../gen/nexus/v1/token_pb.js";
import type { Clock } from "../../../runtime/runtime.js";
import type { ServerContext } from "./sdk.js";
import type { ToolAccount } from "./tool.js";

/** A link ends after 10 minutes. */
export const maxWaitSeconds = 600;

/** How often the client is notified that the call goes on: below the minute that clients wait without a word. */
export const progressIntervalMs = 10_000;

export interface PersonWait {
  readonly context: ServerContext;
  readonly session: DaemonSession;
  readonly clock: Clock;
  readonly account: ToolAccount;
  readonly scopes: readonly string[];
  readonly waitMs: number;
}

/** The outcome: `changed` when the first link can no longer be opened, as after a person declined. */
export type PersonOutcome =
  | { readonly kind: "connected" }
  | { readonly kind: "waiting" | "changed"; readonly consent: ConsentRequired };

/** The token, or the link; a token stays here. */
export async function acquire(
  { session, context, account, scopes }: PersonWait,
  waitMs = 0,
): Promise<ConsentRequired | undefined> {
  const { signal } = context.mcpReq;
  const request = { ...account, scopes: [...scopes], wait: durationFromMs(waitMs) };
  const { result }: AcquireTokenResponse = await session.call(
    `connect to ${account.providerName}`,
    session.daemon.tokens.acquireToken,
    request,
    { signal },
  );
  if (result.case === undefined) throw new Error("the daemon answered with neither a token nor a link");
  return result.case === "consent" ? result.value : undefined;
}

/** Distinguishes a link from the next one, and reveals it to nobody. */
export function linkId({ authUrl, verificationUri, userCode }: ConsentRequired): string {
  const link = [authUrl, verificationUri, userCode].join("\n");
  return createHash("sha256").update(link).digest("base64url").slice(0, 22);
}

/** Waits until the user is done, and sends progress to the client if it requested that. */
export async function awaitPerson(wait: PersonWait, previousLinkId?: string): Promise<PersonOutcome> {
  const { clock, context, waitMs } = wait;
  const startMs = clock.nowMs();
  let consent = await acquire(wait);
  const first = previousLinkId ?? (consent && linkId(consent));
  for (;;) {
    if (consent === undefined) return { kind: "connected" };
    if (linkId(consent) !== first) return { kind: "changed", consent };
    const passedMs = clock.nowMs() - startMs;
    if (passedMs >= waitMs) return { kind: "waiting", consent };
    await tellProgress(context, passedMs, waitMs);
    consent = await acquire(wait, Math.min(progressIntervalMs, waitMs - passedMs));
  }
}

export async function tellProgress(
  { mcpReq }: ServerContext,
  passedMs: number,
  waitMs: number,
  message = "waiting for the person to consent in the browser",
): Promise<void> {
  const progressToken = mcpReq._meta?.progressToken;
  if (progressToken === undefined) return;
  const [progress, total] = [Math.round(passedMs / 1000), Math.round(waitMs / 1000)];
  await mcpReq.notify({
    method: "notifications/progress",
    params: { progressToken, progress, total, message },
  });
}
