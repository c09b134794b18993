import { StoreFailed } from "./store_error.js";

/** The first failure of a store: every later commit gets it, and the process must end. */
export class StoreFailure {
  #failure: StoreFailed | undefined;
  #reported: Promise<StoreFailed> | undefined;

  /** @param onFatal called once */
  constructor(private readonly onFatal: ((error: unknown) => void) | undefined) {}

  /** Undefined as long as the store takes writes. */
  get error(): StoreFailed | undefined {
    return this.#failure;
  }

  /** @param error what LMDB or the log reported. @returns the first failure, with its cause, when `onFatal` has been called */
  fail(
    error: unknown,
    message = "a commit could not be made durable: the store takes no more writes",
  ): Promise<StoreFailed> {
    const cause = trueCause(error);
    const failure = new StoreFailed(message);
    this.#failure ??= failure;
    this.#reported ??= cause.then((known) => {
      failure.cause = known;
      this.onFatal?.(failure);
      return failure;
    });
    return this.#reported;
  }
}

/**
 * lmdb rejects with a promise of the true cause beside the error; left alone, that promise ends the process.
 */
async function trueCause(error: unknown): Promise<unknown> {
  if (!(error instanceof Error && "commitError" in error && error.commitError instanceof Promise))
    return error;
  const detail: Promise<unknown> = error.commitError.then(
    () => error,
    (cause: unknown) => cause,
  );
  const nextTurn = new Promise<unknown>((resolve) => setImmediate(() => resolve(error)));
  return await Promise.race([detail, nextTurn]);
}
