interface SharedCall<T> {
  readonly promise: Promise<T>;
  readonly end: AbortController;
  callers: number;
}

/** Calls that all who ask for the same share. One ends early when the last of its callers has gone. */
export class SharedCalls<T> {
  readonly #calls = new Map<string, SharedCall<T>>();

  async join(key: string, signal: AbortSignal, start: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const call = this.#calls.get(key) ?? this.#start(key, start);
    call.callers += 1;
    let isGone = false;
    const leave = (): void => {
      if (isGone) return;
      isGone = true;
      call.callers -= 1;
      if (call.callers > 0) return;
      if (this.#calls.get(key) === call) this.#calls.delete(key);
      call.end.abort(signal.reason);
    };
    signal.addEventListener("abort", leave, { once: true });
    try {
      return await call.promise;
    } finally {
      signal.removeEventListener("abort", leave);
    }
  }

  #start(key: string, start: (signal: AbortSignal) => Promise<T>): SharedCall<T> {
    const end = new AbortController();
    const call: SharedCall<T> = { promise: start(end.signal), end, callers: 0 };
    this.#calls.set(key, call);
    const forget = (): void => {
      if (this.#calls.get(key) === call) this.#calls.delete(key);
    };
    call.promise.then(forget, forget);
    return call;
  }
}
