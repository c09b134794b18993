import { channel } from "node:diagnostics_channel";
import type { CommittedChange } from "./records/log_codec.js";

/** Notified of each commit when it is durable, before anybody else is: how many connections it changed. For measurements. */
const committed = channel("nexus.store.committed");

/** What a transaction wrote: each connection once, in the order of the revisions, and who is notified when that is durable. */
export interface Written {
  readonly changes: readonly CommittedChange[];
  readonly onDurable: readonly (() => void)[];
}

/** Notifies the one listener which connections changed, in the order of the revisions, when that is durable. */
export class Announcements {
  listener: ((changes: readonly CommittedChange[]) => void) | undefined;
  #settledRevision: bigint;

  /** @param revision up to here nothing is left to announce */
  constructor(revision: bigint) {
    this.#settledRevision = revision;
  }

  get settledRevision(): bigint {
    return this.#settledRevision;
  }

  /** One commit is durable. */
  durable(changes: readonly CommittedChange[]): void {
    if (committed.hasSubscribers) committed.publish({ changes: changes.length });
  }

  /** Whatever the listener does, the commit is done: what it throws is uncaught. */
  announce({ changes, onDurable }: Written): void {
    for (const callback of onDurable) callback();
    const last = changes.at(-1);
    if (last === undefined) return;
    try {
      this.listener?.(changes);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
    // The copy that a replica began with can hold more than the batches that come after it.
    if (last.revision > this.#settledRevision) this.#settledRevision = last.revision;
  }
}
