import type { UseLimit } from "../../model/access/use_limit.js";
import type { NexusError } from "../../model/errors.js";

/** A limit that a use counts for. */
export interface LimitedUse {
  /** Name of the principal that uses it. */
  readonly principalName: string;
  readonly limit: UseLimit;
  /** As in `RuleUses.id`; empty for the limit of an API key. */
  readonly rule: string;
  /** The subject of a sentence: "the API key claude". */
  readonly what: string;
}

/** Counts uses that are limited. */
export interface UseCounts {
  /** Why it cannot be exact; undefined where it is. */
  readonly refusal: string | undefined;
  /** Of the first limit that is reached. */
  reached(uses: readonly LimitedUse[]): NexusError | undefined;
  /**
   * Counts one use for each limit, at once and for all of them or none.
   *
   * @returns resolves when it is durable, with what takes it back; rejects with ResourceExhausted (USES_EXHAUSTED), or with Unavailable, and
   * then nothing is counted
   */
  take(uses: readonly LimitedUse[]): Promise<() => void>;
}
