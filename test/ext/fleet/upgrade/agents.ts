import { setTimeout as sleep } from "node:timers/promises";
import type { Position, WatchTokensResponse } from "../../../../src/gen/nexus/v1/token_pb.js";
import { requestOf } from "../../../daemon/requests.js";
import type { RealHub } from "../real/real_hub.js";

const readers = 4;
const watchers = 4;
const refreshers = 4;
/** A hub that is stopped does not answer. */
const answerMs = 3_000;
/** On a machine that is laden, one hub stopped and another one beginning. */
const limitMs = 15_000;
/** An agent moves on by itself, as behind a load balancer. */
const stayMs = 2_500;

/** What uses a fleet, at any of its hubs: agents that read and watch, and what has tokens refreshed and connections made. */
export class Agents {
  reads = 0;
  /** How often a hub did not answer a read, and another one was asked. */
  passedOn = 0;
  slowestReadMs = 0;
  states = 0;
  resumed = 0;
  /** Connections that a hub said it had made. */
  readonly made: string[] = [];
  /** Of each connection, the newest revision that a hub said was there. */
  readonly acknowledged = new Map<string, bigint>();
  readonly #ending = new AbortController();
  #running: Promise<unknown>[] = [];

  constructor(
    private readonly options: {
      readonly hubs: readonly RealHub[];
      readonly ids: readonly string[];
      readonly onBroken: (words: string) => void;
      /** Whether every token lives, and is to be had at one hub or another. */
      readonly allLive: boolean;
    },
  ) {}

  start(): void {
    this.#running = [
      ...Array.from({ length: readers }, () => this.#read()),
      ...Array.from({ length: watchers }, () => this.#watch()),
      ...Array.from({ length: refreshers }, () => this.#refresh()),
      this.#make(),
    ];
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await Promise.all(this.#running);
  }

  get #isOver(): boolean {
    return this.#ending.signal.aborted;
  }

  #anyHub(): RealHub {
    const { hubs } = this.options;
    return hubs[Math.floor(Math.random() * hubs.length)] as RealHub;
  }

  #anyId(): string {
    const { ids } = this.options;
    return ids[Math.floor(Math.random() * ids.length)] ?? "";
  }

  /** A living token is had at one hub or another. */
  async #read(): Promise<void> {
    const known = new Map<string, bigint>();
    while (!this.#isOver) {
      const connectionId = this.#anyId();
      const begunMs = performance.now();
      while (!(await this.#readOnce(connectionId, known))) {
        this.passedOn++;
        if (!this.options.allLive) break;
        // Without a pause it would keep the processor from the hub that starts.
        await sleep(20);
        if (performance.now() - begunMs < limitMs) continue;
        this.options.onBroken(`no hub answers for ${connectionId}, whose token lives`);
        break;
      }
      this.slowestReadMs = Math.max(this.slowestReadMs, Math.round(performance.now() - begunMs));
      await sleep(20);
    }
  }

  /** @returns whether the hub answered */
  async #readOnce(connectionId: string, known: Map<string, bigint>): Promise<boolean> {
    const { owner, clients } = this.#anyHub();
    const { token } = await clients.tokens
      .getToken({ connectionId }, { timeoutMs: answerMs })
      .catch(() => ({ token: undefined }));
    if (token === undefined) return false;
    const place = `${owner} ${connectionId}`;
    if (token.revision < (known.get(place) ?? 0n))
      this.options.onBroken("a hub answers an older token than it did");
    known.set(place, token.revision);
    const { access_token: accessToken = "" } = token.credentials;
    if (token.revision > 1n && !accessToken.startsWith(`after_${connectionId}_`))
      this.options.onBroken("a hub answers the token of another grant");
    this.reads++;
    return true;
  }

  /** One stream after the other, at any hub, each where the last one ended. */
  async #watch(): Promise<void> {
    const watched = new Watched(this.options.onBroken);
    while (!this.#isOver) {
      const moving = AbortSignal.any([
        this.#ending.signal,
        AbortSignal.timeout(Math.round(stayMs * (0.5 + Math.random()))),
      ]);
      const { owner, clients } = this.#anyHub();
      const { tokens } = clients;
      watched.begin(owner);
      if (watched.position !== undefined) this.resumed++;
      try {
        for await (const { event } of tokens.watchTokens(watched.request, { signal: moving })) {
          watched.heard(event);
          if (event.case === "state") this.states++;
          if (event.case === "drain") break;
        }
      } catch {
        // The hub ends, or the agent moves on.
      }
      await sleep(50);
    }
  }

  async #refresh(): Promise<void> {
    while (!this.#isOver) {
      const connectionId = this.#anyId();
      await this.#anyHub()
        .clients.tokens.refreshToken({ connectionId }, { timeoutMs: 5_000 })
        .then(
          ({ token }) => {
            const before = this.acknowledged.get(connectionId) ?? 0n;
            if (token && token.revision > before) this.acknowledged.set(connectionId, token.revision);
          },
          () => undefined,
        );
      await sleep(50);
    }
  }

  async #make(): Promise<void> {
    while (!this.#isOver) {
      await this.#anyHub()
        .clients.connections.requestConnection(requestOf("live"), { timeoutMs: 15_000 })
        .then(
          ({ connectionId }) => this.made.push(connectionId),
          () => undefined,
        );
      await sleep(100);
    }
  }
}

type Event = WatchTokensResponse["event"];

/** What an agent knows of its stream. */
class Watched {
  position: Position | undefined;
  /** Revisions at the last position, and those heard since on the stream that is open. */
  #settled = new Map<string, bigint>();
  #heard = new Map<string, bigint>();
  #owner = "";

  constructor(private readonly onBroken: (words: string) => void) {}

  get request() {
    return { bookmarkInterval: { seconds: 5n, nanos: 0 }, ...(this.position && { position: this.position }) };
  }

  begin(owner: string): void {
    this.#owner = owner;
    this.#heard = new Map(this.#settled);
  }

  heard(event: Event): void {
    if (event.case === "reset") this.onBroken(`a stream began anew: ${event.value.reason}`);
    if (event.case === "state") this.#state(event.value.connectionId, event.value.revision);
    if (event.case === "bookmark" && event.value.position) this.#bookmark(event.value.position);
  }

  #state(connectionId: string, revision: bigint): void {
    const before = this.#heard.get(connectionId) ?? 0n;
    if (revision < before)
      this.onBroken(
        `${new Date().toISOString()} a stream of ${this.#owner} went back from ${before} to ${revision} of ${connectionId}, which was at ${this.#settled.get(connectionId)} at ${this.position?.revision}`,
      );
    this.#heard.set(connectionId, revision);
  }

  #bookmark(position: Position): void {
    if (this.position && position.epoch !== this.position.epoch)
      this.onBroken("a stream is of another epoch");
    if (this.position && position.revision < this.position.revision) this.onBroken("a position went back");
    this.position = position;
    this.#settled = new Map(this.#heard);
  }
}
