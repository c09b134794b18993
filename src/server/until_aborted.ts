/**
 * Passes on what `source` yields until `signal` aborts; then it throws the signal's reason at once and tells the source
 * to return.
 *
 * Both are needed: a source that waits for its next message does not see that its reader left, and a source that
 * nobody pulls any more (its reader stopped reading, then left) would stay suspended for ever, its `finally` never run.
 */
export async function* untilAborted<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal,
): AsyncGenerator<T, void> {
  const iterator = source[Symbol.asyncIterator]();
  // Not awaited: it settles only after the pending `next` has.
  const release = (): void => void iterator.return?.().catch(() => undefined);
  signal.addEventListener("abort", release, { once: true });
  try {
    for (;;) {
      const step = await unlessAborted(() => iterator.next(), signal);
      if (step.done === true) return;
      yield step.value;
    }
  } finally {
    signal.removeEventListener("abort", release);
    release();
  }
}

/**
 * Starts `work` and settles as it does, or rejects with the signal's reason as soon as it aborts.
 *
 * Every call has promises of its own: a race against one promise per stream would keep a reaction for each message sent.
 */
export function unlessAborted<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(signal.reason);
      return;
    }
    const abort = (): void => reject(signal.reason);
    const forget = (): void => signal.removeEventListener("abort", abort);
    signal.addEventListener("abort", abort, { once: true });
    work().finally(forget).then(resolve, reject);
  });
}
