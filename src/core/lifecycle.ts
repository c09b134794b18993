/** What a daemon starts and stops. */
export interface Part {
  /** Begins to work. @throws what keeps the daemon from starting, or from leading */
  start?(): Promise<void> | void;
  /** Ends what is under way, and begins nothing more. Resolves when nothing of it runs. It may be started again. */
  stop?(): Promise<void> | void;
  /** Reads its files again (SIGHUP). */
  reload?(): Promise<void>;
}

/**
 * Parts as one: they start one after the other, and stop and reload at the same time. When one cannot start, those after it do not, and
 * whoever started them stops all.
 */
export function run(parts: readonly Part[]): Required<Part> {
  return {
    start: async () => {
      for (const part of parts) await part.start?.();
    },
    stop: async () => {
      await Promise.all(parts.map((part) => part.stop?.()));
    },
    reload: async () => {
      await Promise.all(parts.map((part) => part.reload?.()));
    },
  };
}
