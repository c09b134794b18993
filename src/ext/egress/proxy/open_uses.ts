import { ConnectionStatus } from "../../../gen/nexus/v1/connection_pb.js";
import type { WatchTokensResponse } from "../../../gen/nexus/v1/token_pb.js";
import { type Clock, delay } from "../../../runtime/runtime.js";
import type { NamedRoute } from "./routes.js";

/** Of a daemon that is away, or starts again. */
const firstRetryMs = 100;
const longestRetryMs = 10_000;
/** The credential of a connection in one of these is worth nothing any more. */
const over = [ConnectionStatus.REVOKED, ConnectionStatus.EXPIRED, ConnectionStatus.FAILED];

export interface OpenUsesDeps {
  /** The states of the connections of these routes, as `WatchTokens` sends them. */
  watch(routes: readonly NamedRoute[], signal: AbortSignal): AsyncIterable<WatchTokensResponse>;
  /** Whether the caller itself may not go on, by the error that a watch ended with. */
  isRefused(error: unknown): boolean;
  /** The caller may not go on: nothing of the session may. */
  onRefused(): void;
  readonly clock: Clock;
}

/**
 * Requests, streams and upgraded connections that were given a credential and are not over. They end when the connection is revoked, expires or
 * leaves what the caller may see: a stream of the daemon shows it.
 */
export class OpenUses {
  readonly #uses = new Map<string, { readonly route: NamedRoute; readonly ends: Set<() => void> }>();
  /** Stops the watch. */
  #stop = new AbortController();

  constructor(private readonly deps: OpenUsesDeps) {}

  /** @returns ends the hold */
  begin(route: NamedRoute, end: () => void): () => void {
    const key = keyOf(route);
    let uses = this.#uses.get(key);
    if (!uses) {
      uses = { route, ends: new Set() };
      this.#uses.set(key, uses);
      this.#restart();
    }
    const { ends } = uses;
    ends.add(end);
    return () => ends.delete(end);
  }

  close(): void {
    this.#stop.abort();
    for (const key of this.#uses.keys()) this.#end(key);
  }

  #restart(): void {
    this.#stop.abort();
    this.#stop = new AbortController();
    void this.#run(this.#stop.signal);
  }

  async #run(signal: AbortSignal): Promise<void> {
    for (let retryMs = firstRetryMs; !signal.aborted; retryMs = Math.min(2 * retryMs, longestRetryMs)) {
      try {
        const routes = [...this.#uses.values()].map(({ route }) => route);
        await this.#follow(this.deps.watch(routes, signal), () => {
          retryMs = firstRetryMs / 2;
        });
      } catch (error) {
        if (!signal.aborted && this.deps.isRefused(error)) return this.deps.onRefused();
      }
      await delay(this.deps.clock, retryMs, signal);
    }
  }

  /** Several connections may have one name: as long as one of them lives, so does what uses the name. */
  async #follow(events: AsyncIterable<WatchTokensResponse>, onEvent: () => void): Promise<void> {
    const living = new Map<string, string>();
    let isWhole = false;
    for await (const { event } of events) {
      onEvent();
      if (event.case === "bookmark") {
        for (const key of this.#uses.keys()) this.#endUnless(living, key);
        isWhole = true;
      } else if (event.case === "reset") {
        living.clear();
        isWhole = false;
      } else if (event.case === "state" || event.case === "removed") {
        const { connectionId } = event.value;
        const before = living.get(connectionId);
        if (event.case === "state" && !over.includes(event.value.status))
          living.set(connectionId, keyOf(event.value));
        else living.delete(connectionId);
        if (isWhole && before !== undefined) this.#endUnless(living, before);
      }
    }
  }

  #endUnless(living: ReadonlyMap<string, string>, key: string): void {
    if (![...living.values()].includes(key)) this.#end(key);
  }

  #end(key: string): void {
    const ends = [...(this.#uses.get(key)?.ends ?? [])];
    for (const end of ends) end();
  }
}

function keyOf({ providerName, label }: NamedRoute): string {
  return `${providerName}\n${label}`;
}
