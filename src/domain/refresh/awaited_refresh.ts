import type { Clock } from "../../runtime/clock.js";
import type { RefreshOptions, RefreshOutcome } from "./refresh_outcome.js";
import type { Refreshes } from "./refresher.js";

/** For so long a caller without a deadline of its own waits: less than the 30 s after which most clients give a call up. */
const awaitedMs = 25_000;

/**
 * Refreshes for a caller, who does not wait for as long as a token request may take.
 *
 * @returns `retry` when the time is over: the refresh goes on, and whoever asks again shares it
 */
export function awaitedRefresh(
  { refresher, clock }: { readonly refresher: Refreshes; readonly clock: Clock },
  connectionId: string,
  options: RefreshOptions = {},
): Promise<RefreshOutcome> {
  return new Promise((resolve, reject) => {
    const timer = clock.setTimer(awaitedMs, () => resolve("retry"));
    refresher
      .refresh(connectionId, "demand", options)
      .finally(() => timer.cancel())
      .then(resolve, reject);
  });
}
