import { DeadlineExceeded } from "./errors.js";

/** When a caller no longer wants an answer. */
export interface Limits {
  /** Ends the call; it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Ends the call with `DeadlineExceeded`. */
  readonly timeoutMs?: number | undefined;
}

/** Runs a call whose signal aborts as soon as the caller's does or the time is over, and rejects then. */
export async function limited<T>(
  { signal, timeoutMs }: Limits,
  run: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const call = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  let abort: (() => void) | undefined;
  const ended = new Promise<never>((_, reject) => {
    const end = (reason: unknown): void => {
      reject(reason);
      call.abort(reason);
    };
    abort = () => end(signal?.reason);
    signal?.addEventListener("abort", abort, { once: true });
    if (timeoutMs !== undefined) {
      timer = setTimeout(() => end(new DeadlineExceeded(`no token within ${timeoutMs} ms`)), timeoutMs);
    }
  });
  try {
    return await Promise.race([run(call.signal), ended]);
  } finally {
    clearTimeout(timer);
    if (abort) signal?.removeEventListener("abort", abort);
  }
}
