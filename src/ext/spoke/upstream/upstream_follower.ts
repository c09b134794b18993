import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { ProviderService } from "../../../gen/nexus/v1/provider_pb.js";
import { TokenService, type TokenState, type WatchTokensResponse } from "../../../gen/nexus/v1/token_pb.js";
import type { ProviderProfile } from "../../../model/providers/providers.js";
import { type Clock, delay, fullJitterMs, type Log } from "../../../runtime/runtime.js";
import { copiedProfile } from "../copies/copied_connection.js";
import type { HubLink, HubLinks } from "./hub_link.js";
import { type LinkTrouble, troubleOf } from "./trouble.js";

/** The rules for clients of `WatchTokens`: full jitter, 10 s at most. */
const backoff = { baseMs: 100, maxMs: 10_000 };
/** What a person must change does not change in milliseconds. */
const refusedBackoff = { baseMs: 10_000, maxMs: 10_000 };
/** Three bookmark intervals, of 30 s: a stream that carried nothing for so long is dead. */
const deadMs = 90_000;
/** For a hub that does not answer at all. */
const askMs = 5_000;
/** Profiles change seldom, and are needed for their names; one that a connection names is looked up at once. */
const providersEveryMs = 300_000;
/** States that may wait for the disk. */
const maxWaiting = 256;
const providersPage = 100;

export interface WatchPlace {
  readonly epoch: string;
  readonly revision: bigint;
}

/** Where the changes of the hub go. */
export interface CopyTarget {
  /** Where the last stream ended; undefined when the hub must send everything. */
  position(): WatchPlace | undefined;
  beginSnapshot(): void;
  /** A snapshot that was cut off says nothing of what it did not name. */
  abandonSnapshot(): void;
  put(state: TokenState): Promise<void>;
  remove(connectionId: string): Promise<void>;
  /** Everything up to here was sent and is durable. Only then does it count as a message of a hub, for a part may lack what was revoked. */
  settle(position: WatchPlace): Promise<void>;
  knowsProvider(providerId: string): boolean;
  putProviders(profiles: readonly ProviderProfile[]): Promise<void>;
}

export interface FollowerOptions {
  readonly links: HubLinks;
  readonly target: CopyTarget;
  readonly clock: Clock;
  readonly log: Log;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/** Follows one hub at a time, for as long as it runs. */
export class UpstreamFollower {
  readonly #stop = new AbortController();
  #session = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #failures = 0;
  #isOpen = false;
  #trouble: LinkTrouble | undefined;
  #providersAtMs = Number.NEGATIVE_INFINITY;
  /** Profiles that the hub does not send, though it reports connections with them: they were deleted. */
  readonly #hidden = new Set<string>();
  #taking: Promise<void> = Promise.resolve();
  #contacts: (() => void)[] = [];

  constructor(private readonly options: FollowerOptions) {}

  /** Whether a stream is open and has sent everything. */
  get isConnected(): boolean {
    return this.#isOpen;
  }

  /** Why the last try failed; undefined while the stream is open. */
  get trouble(): LinkTrouble | undefined {
    return this.#trouble;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#session.abort();
    await this.#running;
  }

  /** Begins the stream again. */
  restart(): void {
    this.#session.abort();
  }

  /** Resolves when a stream has sent everything, or every hub was tried in vain. */
  async firstContact(): Promise<void> {
    await new Promise<void>((resolve) => this.#contacts.push(resolve));
  }

  /** Has the hub that is followed send its profiles now. Nothing when none is. Rejects when it does not. */
  async takeProviders(): Promise<void> {
    if (this.#isOpen) await this.#takeProviders(this.options.links.current(), this.#session.signal);
  }

  async #run(): Promise<void> {
    const { links, clock, random } = this.options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const session = new AbortController();
      this.#session = session;
      let waitMs: number | undefined;
      try {
        links.renew();
        waitMs = await this.#follow(links.current(), session.signal);
        if (!this.#isOpen) this.#failures++;
      } catch (error) {
        // What was broken off here is no trouble with a hub.
        if (!session.signal.aborted) this.#failed(error);
      }
      this.#isOpen = false;
      if (signal.aborted) break;
      links.next();
      // A token that has ended may have been replaced in its file.
      const rule = this.#trouble?.isRefusal && this.#failures > 1 ? refusedBackoff : backoff;
      await delay(clock, waitMs ?? fullJitterMs(rule, Math.max(1, this.#failures), random()), signal);
    }
    this.#tellContact();
  }

  #failed(error: unknown): void {
    const { links, log } = this.options;
    if (this.#stop.signal.aborted) return;
    const wasOpen = this.#isOpen;
    const trouble = troubleOf(error);
    const isNews = trouble.text !== this.#trouble?.text;
    if (trouble.isFault)
      log.error({ err: error, hub: links.url }, "the changes of the hub could not be stored");
    this.#trouble = trouble;
    this.#failures++;
    if (wasOpen || isNews) {
      const fields = { hub: links.url, reason: trouble.text };
      if (trouble.isRefusal) log.error(fields, "the hub refuses this spoke");
      else log.warn(fields, "no word from the hub: what is held is served meanwhile");
    }
    if (trouble.isRefusal || this.#failures >= links.count) this.#tellContact();
  }

  #tellContact(): void {
    for (const resolve of this.#contacts.splice(0)) resolve();
  }

  /** @returns how long the hub asks to wait; undefined when it did not say @throws what ended the stream */
  async #follow(link: HubLink, signal: AbortSignal): Promise<number | undefined> {
    const { links, target, log, clock } = this.options;
    await this.#takeProviders(link, signal);
    const position = target.position();
    if (position === undefined) target.beginSnapshot();
    else target.abandonSnapshot();
    const stream = new AbortController();
    const cancel = (): void => stream.abort(new ConnectError("it fell silent", Code.Unavailable));
    signal.addEventListener("abort", cancel, { once: true });
    const events = createClient(TokenService, link.transport).watchTokens(position ? { position } : {}, {
      signal: stream.signal,
      headers: links.headers(),
    });
    let watchdog = clock.setTimer(deadMs, cancel);
    let waiting: Promise<void>[] = [];
    const durable = async (): Promise<void> => {
      const all = waiting;
      waiting = [];
      await Promise.all(all);
    };
    try {
      for await (const { event } of events) {
        watchdog.cancel();
        watchdog = clock.setTimer(deadMs, cancel);
        if (event.case === "bookmark") {
          await durable();
          await this.#settled(link, event.value.position, signal);
        } else if (event.case === "drain") {
          await durable();
          log.info({ hub: link.url }, "the hub ends, and asks to come back");
          return event.value.reconnectDelay ? durationMs(event.value.reconnectDelay) : 0;
        } else {
          waiting.push(...(await this.#take(link, event, signal)));
          if (waiting.length >= maxWaiting) await durable();
        }
      }
      return undefined;
    } finally {
      watchdog.cancel();
      signal.removeEventListener("abort", cancel);
      cancel();
      await Promise.allSettled(waiting);
    }
  }

  async #take(
    link: HubLink,
    event: WatchTokensResponse["event"],
    signal: AbortSignal,
  ): Promise<Promise<void>[]> {
    const { target } = this.options;
    if (event.case === "reset") target.beginSnapshot();
    if (event.case === "removed") return [judgedLater(target.remove(event.value.connectionId))];
    if (event.case !== "state") return [];
    const { providerId } = event.value;
    // A name that is looked up must be known before the connection is.
    if (!target.knowsProvider(providerId) && !this.#hidden.has(providerId)) {
      await this.#takeProviders(link, signal);
      if (!target.knowsProvider(providerId)) this.#hidden.add(providerId);
    }
    return [judgedLater(target.put(event.value))];
  }

  async #settled(link: HubLink, position: WatchPlace | undefined, signal: AbortSignal): Promise<void> {
    const { target, log, clock } = this.options;
    if (position !== undefined) await target.settle(position);
    if (!this.#isOpen) {
      log.info({ hub: link.url }, "follows the hub");
      this.#isOpen = true;
      this.#trouble = undefined;
      this.#failures = 0;
      this.#tellContact();
    }
    if (clock.monotonicMs() - this.#providersAtMs >= providersEveryMs)
      await this.#takeProviders(link, signal);
  }

  /** One at a time: an older list must not take the place of a newer one. */
  #takeProviders(link: HubLink, signal: AbortSignal): Promise<void> {
    const taken = this.#taking.then(() => this.#list(link, signal));
    this.#taking = judgedLater(taken).catch(() => undefined);
    return taken;
  }

  async #list(link: HubLink, signal: AbortSignal): Promise<void> {
    const { links, target, clock } = this.options;
    const client = createClient(ProviderService, link.transport);
    const profiles: ProviderProfile[] = [];
    let pageToken = "";
    do {
      const asked = { pageSize: providersPage, pageToken };
      const options = { signal, timeoutMs: askMs, headers: links.headers() };
      const { providers, nextPageToken } = await client.listProviders(asked, options);
      profiles.push(...providers.flatMap((message) => copiedProfile(message) ?? []));
      pageToken = nextPageToken;
    } while (pageToken !== "");
    this.#providersAtMs = clock.monotonicMs();
    await target.putProviders(profiles);
  }
}

/** Its failure is reported when it is awaited. */
function judgedLater(kept: Promise<void>): Promise<void> {
  kept.catch(() => undefined);
  return kept;
}
