import type { TokenState, WatchTokensResponse } from "./gen/nexus/v1/token_pb.js";
import type { Clock } from "./strategies/clock.js";
import { Token } from "./token.js";
import { keyOf } from "./token_name.js";

/** What a token must be, for an answer without a call. */
export interface TokenWish {
  readonly scopes: readonly string[];
  readonly minTtlMs: number;
}

interface Entry {
  /** Connections of this name on the stream. */
  readonly ids: Set<string>;
  /** The newest answer of AcquireToken, until the stream is as new. */
  acquired: { readonly token: Token; readonly atMs: number } | undefined;
  /** The connection whose token AcquireToken answered, where several have the name. */
  chosenId: string | undefined;
  /** Scopes that AcquireToken took for granted: providers answer with other words. */
  readonly satisfied: Set<string>;
  /** The next question goes to the daemon. */
  isDoubtful: boolean;
  readonly waiting: Set<() => void>;
}

/** The newest token of each name, as AcquireToken and the stream told it. */
export class TokenCache {
  readonly #entries = new Map<string, Entry>();
  readonly #states = new Map<string, { readonly key: string; readonly token: Token | undefined }>();

  /** @param isCovered whether a stream that lives has told all about the name */
  constructor(
    private readonly clock: Clock,
    private readonly isCovered: (key: string) => boolean,
  ) {}

  /** The token to answer without a call; undefined where the daemon must be asked. */
  find(key: string, { scopes, minTtlMs }: TokenWish): Token | undefined {
    const entry = this.#entries.get(key);
    if (!entry || entry.isDoubtful) return undefined;
    const token = this.#usable(key, entry);
    if (!token) return undefined;
    const lacks = scopes.some((scope) => !token.grantedScopes.includes(scope) && !entry.satisfied.has(scope));
    const isShort = minTtlMs > 0 && !this.#lives(token, minTtlMs);
    return lacks || isShort ? undefined : token;
  }

  /** Takes an answer of AcquireToken. */
  put(key: string, token: Token, scopes: readonly string[]): void {
    const entry = this.#entry(key);
    entry.isDoubtful = false;
    for (const scope of scopes) entry.satisfied.add(scope);
    entry.acquired = { token, atMs: this.clock.monotonicMs() };
    for (const id of entry.ids) this.#compare(entry, id);
    this.#wake(entry);
  }

  /** A person must act first: the next question goes to the daemon only when there is nothing else to answer. */
  settle(key: string): void {
    this.#entry(key).isDoubtful = false;
  }

  /** Has the next question go to the daemon, whatever is held. */
  doubt(key: string): void {
    this.#entry(key).isDoubtful = true;
  }

  /** Resolves with a token that passes once there is one; undefined when the time is over. */
  async arrives(key: string, pass: (token: Token) => boolean, maxMs: number): Promise<Token | undefined> {
    const entry = this.#entry(key);
    const find = (): Token | undefined => {
      const token = this.#newest(entry);
      return token && pass(token) ? token : undefined;
    };
    return find() ?? (await this.#wait(entry, find, maxMs));
  }

  /** Takes a message of the stream. */
  take({ event }: WatchTokensResponse): void {
    if (event.case === "state") this.#takeState(event.value);
    else if (event.case === "removed") this.#forget(event.value.connectionId);
  }

  /**
   * The end of a snapshot: what it did not name is gone.
   *
   * @param keys the names that were asked for
   * @param named ids of the connections that it named
   * @param openedMs when it was asked for, by the monotonic clock: what was acquired later may be newer
   */
  endSnapshot(keys: Iterable<string>, named: ReadonlySet<string>, openedMs: number): void {
    for (const key of keys) {
      const entry = this.#entries.get(key);
      if (!entry) continue;
      for (const id of [...entry.ids]) if (!named.has(id)) this.#forget(id);
      if (entry.acquired && entry.acquired.atMs < openedMs) entry.acquired = undefined;
    }
  }

  clear(): void {
    this.#entries.clear();
    this.#states.clear();
  }

  #takeState(state: TokenState): void {
    const { connectionId } = state;
    const key = keyOf(state);
    if (this.#states.get(connectionId)?.key !== key) this.#forget(connectionId);
    const token = state.token && new Token(state.token);
    this.#states.set(connectionId, { key, token });
    const entry = this.#entry(key);
    entry.ids.add(connectionId);
    if (token) {
      this.#compare(entry, connectionId);
    } else {
      entry.acquired = undefined;
      entry.satisfied.clear();
    }
    this.#wake(entry);
  }

  /** Finds out which connection was answered, and drops an answer that the stream is as new as. */
  #compare(entry: Entry, connectionId: string): void {
    const { acquired } = entry;
    const token = this.#states.get(connectionId)?.token;
    if (!acquired || !token) return;
    if (haveSameCredentials(acquired.token, token)) entry.chosenId = connectionId;
    const isChosen = entry.chosenId === connectionId || entry.ids.size === 1;
    if (isChosen && token.revision >= acquired.token.revision) entry.acquired = undefined;
  }

  #forget(connectionId: string): void {
    const state = this.#states.get(connectionId);
    const entry = state && this.#entries.get(state.key);
    this.#states.delete(connectionId);
    if (!entry) return;
    entry.ids.delete(connectionId);
    if (entry.chosenId === connectionId) entry.chosenId = undefined;
    if (entry.ids.size === 0) entry.acquired = undefined;
    this.#wake(entry);
  }

  #usable(key: string, entry: Entry): Token | undefined {
    const { acquired } = entry;
    const token = this.#newest(entry);
    const isTold = token !== acquired?.token && this.isCovered(key);
    return token && (isTold || this.#lives(token, 0)) ? token : undefined;
  }

  #newest(entry: Entry): Token | undefined {
    if (entry.acquired) return entry.acquired.token;
    const withToken = [...entry.ids].filter((id) => this.#states.get(id)?.token);
    const id = withToken.length === 1 ? withToken[0] : withToken.find((each) => each === entry.chosenId);
    return id === undefined ? undefined : this.#states.get(id)?.token;
  }

  #lives({ expiresAt }: Token, ttlMs: number): boolean {
    return expiresAt === undefined || expiresAt.getTime() > this.clock.nowMs() + ttlMs;
  }

  #entry(key: string): Entry {
    const found = this.#entries.get(key);
    if (found) return found;
    const made: Entry = {
      ids: new Set(),
      acquired: undefined,
      chosenId: undefined,
      satisfied: new Set(),
      isDoubtful: false,
      waiting: new Set(),
    };
    this.#entries.set(key, made);
    return made;
  }

  #wake(entry: Entry): void {
    for (const call of entry.waiting) call();
  }

  #wait(entry: Entry, find: () => Token | undefined, maxMs: number): Promise<Token | undefined> {
    return new Promise((resolve) => {
      const finish = (token: Token | undefined): void => {
        entry.waiting.delete(look);
        clearTimeout(timer);
        resolve(token);
      };
      const look = (): void => {
        const token = find();
        if (token) finish(token);
      };
      const timer = setTimeout(() => finish(undefined), maxMs);
      entry.waiting.add(look);
    });
  }
}

function haveSameCredentials(one: Token, other: Token): boolean {
  const entries = Object.entries(one.credentials);
  return (
    entries.length === Object.keys(other.credentials).length &&
    entries.every(([name, value]) => other.credentials[name] === value)
  );
}
