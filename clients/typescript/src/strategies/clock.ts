// Copied from src/runtime/clock.ts by `npm run generate`; edit that.
/** A timer that was set and can be cancelled. */
export interface Timer {
  cancel(): void;
}

export interface WallClock {
  /** Milliseconds since the Unix epoch; it can jump either way when the machine's clock is set. */
  nowMs(): number;
}

/** The only source of time. Everything that waits takes one, so that tests move time by hand. */
export interface Clock extends WallClock {
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

/** A timer that fires later than this was held up: the process was paused, or its event loop was. */
const lateMs = 250;
/** How long what came in a pause, and what comes right after it, may take to be read. */
const graceMs = 2_000;

/**
 * A timer for what ends work that reads. After a pause (SIGSTOP, a container's freezer, a virtual machine that moves) timers that are
 * due fire before any socket is read. So this one gives I/O one more turn before it calls `callback`, and waits another two seconds
 * whenever it fired late.
 */
export function setDeadline(clock: Clock, delayMs: number, callback: () => void): Timer {
  let timer: Timer;
  let turn: NodeJS.Immediate | undefined;
  const arm = (waitMs: number): void => {
    const dueMs = clock.monotonicMs() + waitMs;
    timer = clock.setTimer(waitMs, () => {
      if (clock.monotonicMs() - dueMs > lateMs) arm(graceMs);
      else turn = setImmediate(callback);
    });
  };
  arm(Math.max(0, delayMs));
  return {
    cancel: () => {
      timer.cancel();
      clearImmediate(turn);
    },
  };
}
