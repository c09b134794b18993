/** A request of the state-of-the-world protocol of xDS. */
export interface SecretRequest {
  readonly names: readonly string[];
  /** Of the answer that it acknowledges or refuses; empty for the first. */
  readonly nonce: string;
  /** Present when the proxy refuses that answer; its text may quote what was sent. */
  readonly refusal: { readonly code: number; readonly message: string } | undefined;
}

/** Requests as they come, one at a time, for a loop that waits for other things too. */
export class SecretRequests {
  readonly #requests: AsyncIterator<SecretRequest>;
  readonly #wake: () => void;
  #arrived: SecretRequest | undefined;
  #failure: { readonly error: unknown } | undefined;
  #ended = false;

  /** @param wake called whenever `take` or `ended` may answer otherwise than before */
  constructor(requests: AsyncIterable<SecretRequest>, wake: () => void) {
    this.#requests = requests[Symbol.asyncIterator]();
    this.#wake = wake;
    this.#pull();
  }

  /** Whether there will be no more. @throws what the requests failed with */
  get ended(): boolean {
    if (this.#failure) throw this.#failure.error;
    return this.#ended;
  }

  /** The next, if it is there. */
  take(): SecretRequest | undefined {
    const request = this.#arrived;
    this.#arrived = undefined;
    if (request) this.#pull();
    return request;
  }

  #pull(): void {
    void this.#requests
      .next()
      .then(
        (step) => {
          if (step.done === true) this.#ended = true;
          else this.#arrived = step.value;
        },
        (error: unknown) => {
          this.#failure = { error };
        },
      )
      .then(this.#wake);
  }
}
