import type { NameParts } from "../../../model/connections/connection_name.js";
import type { Clock } from "../../../runtime/clock.js";
import { ConflatingSubscriber } from "../watch/conflating_subscriber.js";
import type { WatchHub } from "../watch/watch_hub.js";

export interface NewsWaitDeps {
  readonly hub: WatchHub;
  readonly clock: Clock;
}

/**
 * Calls `look` at once, and again whenever a connection of the name has changed, until it answers true, the time is over, the signal
 * aborts or the hub drains. What changes while it looks is looked at too.
 */
export async function waitForChange(
  { hub, clock }: NewsWaitDeps,
  name: NameParts,
  { waitMs, signal }: { readonly waitMs: number; readonly signal: AbortSignal },
  look: () => Promise<boolean>,
): Promise<void> {
  const subscriber = new ConflatingSubscriber({
    connectionIds: new Set(),
    names: [name],
    userId: undefined,
    sees: () => true,
  });
  let isTimeOver = false;
  const isOver = (): boolean => isTimeOver || signal.aborted || hub.draining;
  const wake = (): void => subscriber.wake();
  hub.subscribe(subscriber);
  const timer = clock.setTimer(waitMs, () => {
    isTimeOver = true;
    wake();
  });
  signal.addEventListener("abort", wake);
  try {
    while (!isOver()) {
      while (subscriber.take() !== undefined);
      if (await look()) return;
      if (!isOver()) await subscriber.changed();
    }
  } finally {
    hub.unsubscribe(subscriber);
    timer.cancel();
    signal.removeEventListener("abort", wake);
  }
}
