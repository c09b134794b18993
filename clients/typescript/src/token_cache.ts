import { timestampMs } from "@bufbuild/protobuf/wkt";
import { ConnectionStatus } from "./gen/nexus/v1/connection_pb.js";
import type { TokenState, WatchTokensResponse } from "./gen/nexus/v1/token_pb.js";
import type { Clock } from "./strategies/clock.js";
import { Token } from "./token.js";
import { keyOf, type TokenName } from "./token_name.js";

/** `WatchTokensRequest.names` takes as many. */
const maxNames = 1000;
/** A token that no stream confirms is asked for again after so long. */
const answerLifeMs = 20_000;

/** What a token must be, for an answer without a call. */
export interface TokenWish {
  readonly scopes: readonly string[];
  readonly minTtlMs: number;
}

/** The newest state of a connection that is ACTIVE. */
interface Active {
  readonly id: string;
  readonly createdMs: number;
  readonly revision: number;
  readonly token: Token | undefined;
}

interface Entry {
  readonly name: TokenName;
  readonly active: Map<string, Active>;
  /** What AcquireToken returned, until the stream has caught up. */
  answer: { readonly token: Token; readonly atMs: number } | undefined;
  /** Counts what the stream reported, to recognize an answer that it overtook. */
  reports: number;
  /** Scopes that AcquireToken was asked for when it returned a token with these granted ones. */
  accepted: { readonly granted: string; readonly scopes: Set<string> };
  readonly waiting: Set<() => void>;
}

/** The current token of each name; "The cache" in test/clients/PROTOCOL.md has the rules. */
export class TokenCache {
  readonly #entries = new Map<string, Entry>();
  /** The entry of each connection that the stream told of. */
  readonly #entryOf = new Map<string, Entry>();

  /** @param isLive whether a stream lives that has told all there was */
  constructor(
    private readonly clock: Clock,
    private readonly isLive: () => boolean,
  ) {}

  /** The token to answer without a call; undefined where the daemon must be asked. */
  find(key: string, { scopes, minTtlMs }: TokenWish): Token | undefined {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    const answer = this.#answer(entry);
    const token = answer ?? first(entry)?.token;
    if (!token || !hasScopes(entry, token, scopes)) return undefined;
    if (token.expiresAt === undefined || (!answer && this.isLive() && minTtlMs === 0)) return token;
    const leftMs = token.expiresAt.getTime() - this.clock.nowMs();
    return leftMs > 0 && leftMs >= minTtlMs ? token : undefined;
  }

  /** Makes an entry for the name, where there is room. @returns whether it is a new one */
  want(name: TokenName): boolean {
    if (this.#entries.has(name.key) || this.#entries.size >= maxNames) return false;
    this.#entries.set(name.key, {
      name,
      active: new Map(),
      answer: undefined,
      reports: 0,
      accepted: { granted: "", scopes: new Set() },
      waiting: new Set(),
    });
    return true;
  }

  has(key: string): boolean {
    return this.#entries.has(key);
  }

  /** Those that the stream carries. */
  names(): TokenName[] {
    return [...this.#entries.values()].map(({ name }) => name);
  }

  /** To be remembered when AcquireToken is called, for `put`. */
  reports(key: string): number {
    return this.#entries.get(key)?.reports ?? 0;
  }

  /**
   * Takes an answer of AcquireToken.
   *
   * @param reports what the method of that name returned before the call
   */
  put(key: string, token: Token, scopes: readonly string[], reports: number): void {
    const entry = this.#entries.get(key);
    if (!entry) return;
    const granted = sorted(token);
    if (entry.accepted.granted !== granted) entry.accepted = { granted, scopes: new Set() };
    for (const scope of scopes) entry.accepted.scopes.add(scope);
    if (entry.reports !== reports || (first(entry)?.revision ?? -1) >= token.revision) return;
    entry.answer = { token, atMs: this.clock.monotonicMs() };
    wake(entry);
  }

  /** An API says that the token lacks the scopes: who asks for one of them gets a link. */
  lacks(key: string, scopes: readonly string[]): void {
    for (const scope of scopes) this.#entries.get(key)?.accepted.scopes.delete(scope);
  }

  /** Resolves with a token that passes once there is one; undefined when the time is over, and for a name without an entry. */
  async arrives(key: string, pass: (token: Token) => boolean, maxMs: number): Promise<Token | undefined> {
    const entry = this.#entries.get(key);
    if (!entry) return undefined;
    const find = (): Token | undefined => {
      const token = this.#answer(entry) ?? first(entry)?.token;
      return token && pass(token) ? token : undefined;
    };
    return find() ?? (await waitFor(entry, find, maxMs));
  }

  /** Takes a message of the stream. */
  take({ event }: WatchTokensResponse): void {
    if (event.case === "state") this.#takeState(event.value);
    else if (event.case === "removed") this.#remove(event.value.connectionId);
  }

  /**
   * The end of a snapshot: what it did not name is gone.
   *
   * @param named ids of the connections that it named
   * @param openedMs when it was asked for, by the monotonic clock: what was acquired later may be newer
   */
  endSnapshot(named: ReadonlySet<string>, openedMs: number): void {
    for (const id of [...this.#entryOf.keys()]) if (!named.has(id)) this.#remove(id);
    for (const entry of this.#entries.values()) {
      if (entry.answer && entry.answer.atMs < openedMs) entry.answer = undefined;
    }
  }

  /** No stream will tell what becomes of the tokens. */
  empty(): void {
    for (const id of [...this.#entryOf.keys()]) this.#remove(id);
    for (const entry of this.#entries.values()) entry.answer = undefined;
  }

  clear(): void {
    this.#entries.clear();
    this.#entryOf.clear();
  }

  #takeState(state: TokenState): void {
    const { connectionId: id, status, token, createdAt } = state;
    const entry = this.#entries.get(keyOf(state));
    if (this.#entryOf.get(id) !== entry) this.#remove(id);
    if (!entry) return;
    this.#entryOf.set(id, entry);
    const revision = Number(state.revision);
    const createdMs = createdAt ? timestampMs(createdAt) : 0;
    if (status === ConnectionStatus.ACTIVE) {
      // Of the first connection, the revisions show whether it is newer than an answer.
      if (first(entry)?.id !== id) entry.reports += 1;
      entry.active.set(id, { id, createdMs, revision, token: token && new Token(token) });
    } else {
      entry.active.delete(id);
      // It takes nothing away.
      if (status !== ConnectionStatus.PENDING) entry.reports += 1;
    }
    const reported = first(entry)?.revision ?? revision;
    if (entry.answer && entry.answer.token.revision <= reported) entry.answer = undefined;
    wake(entry);
  }

  #remove(id: string): void {
    const entry = this.#entryOf.get(id);
    if (!entry) return;
    this.#entryOf.delete(id);
    entry.active.delete(id);
    entry.answer = undefined;
    entry.reports += 1;
    wake(entry);
  }

  #answer({ answer }: Entry): Token | undefined {
    return answer && this.clock.monotonicMs() - answer.atMs < answerLifeMs ? answer.token : undefined;
  }
}

/** The connection that the name names, if one is ACTIVE; see `ConnectionName`. */
function first({ active }: Entry): Active | undefined {
  let found: Active | undefined;
  for (const each of active.values()) {
    const isEarlier =
      !found ||
      each.createdMs < found.createdMs ||
      (each.createdMs === found.createdMs && each.id < found.id);
    if (isEarlier) found = each;
  }
  return found;
}

function hasScopes({ accepted }: Entry, token: Token, scopes: readonly string[]): boolean {
  const lacking = scopes.filter((scope) => !token.grantedScopes.includes(scope));
  return (
    lacking.length === 0 ||
    (accepted.granted === sorted(token) && lacking.every((scope) => accepted.scopes.has(scope)))
  );
}

function sorted({ grantedScopes }: Token): string {
  return [...new Set(grantedScopes)].sort().join(" ");
}

function wake({ waiting }: Entry): void {
  for (const call of waiting) call();
}

function waitFor(entry: Entry, find: () => Token | undefined, maxMs: number): Promise<Token | undefined> {
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
