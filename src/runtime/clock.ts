/** A timer that was set and can be cancelled. */
export interface Timer {
  cancel(): void;
}

/** The only source of time. Everything that waits takes one, so that tests move time by hand. */
export interface Clock {
  /** Milliseconds since the Unix epoch; it can jump either way when the machine's clock is set. */
  nowMs(): number;
  /** Milliseconds of a clock that never jumps; only differences have a meaning. */
  monotonicMs(): number;
  /** Calls `callback` once after `delayMs` (taken as 0 when negative). It does not keep the process alive. */
  setTimer(delayMs: number, callback: () => void): Timer;
}

/** `setTimeout` fires at once beyond this delay, so longer ones are waited for in pieces. */
const maxTimeoutMs = 2 ** 31 - 1;

/** The machine's clock. */
export class SystemClock implements Clock {
  nowMs(): number {
    return Date.now();
  }

  monotonicMs(): number {
    return performance.now();
  }

  setTimer(delayMs: number, callback: () => void): Timer {
    let remainingMs = Math.max(0, delayMs);
    let handle: NodeJS.Timeout;
    const arm = (): void => {
      const pieceMs = Math.min(remainingMs, maxTimeoutMs);
      remainingMs -= pieceMs;
      handle = setTimeout(() => (remainingMs > 0 ? arm() : callback()), pieceMs);
      handle.unref();
    };
    arm();
    return { cancel: () => clearTimeout(handle) };
  }
}

/** Resolves after `delayMs`, or at once when `signal` aborts. */
export function delay(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal?.aborted) return resolve();
    const finish = (): void => {
      timer.cancel();
      signal?.removeEventListener("abort", finish);
      resolve();
    };
    const timer = clock.setTimer(delayMs, finish);
    signal?.addEventListener("abort", finish, { once: true });
  });
}
