import { inspect } from "node:util";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { beforeEach, describe, expect, it } from "vitest";
import { ConnectionStatus } from "../../../clients/typescript/src/gen/nexus/v1/connection_pb.js";
import {
  TokenSchema,
  WatchTokensResponseSchema,
} from "../../../clients/typescript/src/gen/nexus/v1/token_pb.js";
import { SharedCalls } from "../../../clients/typescript/src/shared_calls.js";
import { Token } from "../../../clients/typescript/src/token.js";
import { TokenCache } from "../../../clients/typescript/src/token_cache.js";
import { tokenName } from "../../../clients/typescript/src/token_name.js";
import { ManualClock } from "../../../src/runtime/manual_clock.js";

const name = tokenName(" GitHub", "ada");
const { key } = name;
const any = { scopes: [], minTtlMs: 0 };
const hourMs = 3_600_000;

let clock: ManualClock;
let isLive: boolean;
let cache: TokenCache;
beforeEach(() => {
  clock = new ManualClock(1_700_000_000_000);
  isLive = true;
  cache = new TokenCache(clock, () => isLive);
  cache.want(name);
});

const { ACTIVE, PENDING, REVOKED } = ConnectionStatus;
const message = (revision: number, value = `t${revision}`, grantedScopes = ["read"]) =>
  create(TokenSchema, {
    ...{ revision: BigInt(revision), credentials: { access_token: value }, grantedScopes },
    expiresAt: timestampFromMs(1_700_000_000_000 + hourMs),
  });
/** An answer of AcquireToken that came at once. */
const answer = (revision: number, value?: string, scopes: string[] = []): void =>
  cache.put(key, new Token(message(revision, value)), scopes, cache.reports(key));

interface StateOptions {
  readonly id?: string;
  readonly value?: string;
  readonly status?: ConnectionStatus;
  readonly createdMs?: number;
  readonly granted?: string[];
}

/** A state of the stream. */
function state(revision: number, options: StateOptions = {}): void {
  const { id: connectionId = "c", status = ACTIVE, createdMs = 1, value, granted } = options;
  const token = status === ACTIVE ? { token: message(revision, value, granted) } : {};
  const names = { connectionId, userId: "ada", providerName: "github" };
  const rest = { status, revision: BigInt(revision), createdAt: timestampFromMs(createdMs), ...token };
  cache.take(create(WatchTokensResponseSchema, { event: { case: "state", value: { ...names, ...rest } } }));
}
const removed = (connectionId: string): void =>
  cache.take(create(WatchTokensResponseSchema, { event: { case: "removed", value: { connectionId } } }));
const found = (scopes: string[] = []) => cache.find(key, { ...any, scopes })?.credentials["access_token"];

describe("the cache", () => {
  it("takes the newer of the answer and the stream", () => {
    answer(2);
    state(1);
    expect(found()).toBe("t2");
    state(3);
    expect(found()).toBe("t3");
  });

  it("gives up what the stream takes away", () => {
    for (const takeAway of [() => state(1, { status: REVOKED }), () => removed("c")]) {
      state(1);
      takeAway();
      expect(found()).toBeUndefined();
      answer(1);
      takeAway();
    }
    state(1);
    answer(2);
    state(2, { status: REVOKED });
    expect(found()).toBeUndefined();
  });

  it("takes no answer that the stream overtook, but over a state that is pending", () => {
    const token = new Token(message(1));
    const pending = cache.reports(key);
    state(0, { status: PENDING });
    cache.put(key, token, [], pending);
    expect(found()).toBe("t1");
    const asked = cache.reports(key);
    state(1, { status: REVOKED });
    cache.put(key, token, [], asked);
    expect(found()).toBeUndefined();
  });

  it("keeps an answer that no stream confirms for 20 s", () => {
    answer(2);
    clock.advance(19_999);
    expect(found()).toBe("t2");
    clock.advance(1);
    expect(found()).toBeUndefined();
  });

  it("has a thousand names, and takes no answer of another", () => {
    for (let n = 0; n < 1_000; n++) cache.want(tokenName("p", `user-${n}`));
    expect(cache.names()).toHaveLength(1_000);
    const { key: other } = tokenName("p", "user-999");
    cache.put(other, new Token(message(1)), [], 0);
    expect(cache.find(other, any)).toBeUndefined();
  });

  it("forgets what a snapshot does not name, but no answer that is newer than it", () => {
    state(1);
    cache.endSnapshot(new Set(["c"]), clock.monotonicMs());
    expect(found()).toBe("t1");
    cache.endSnapshot(new Set(), clock.monotonicMs());
    expect(found()).toBeUndefined();
    const openedMs = clock.monotonicMs();
    answer(5);
    cache.endSnapshot(new Set(), openedMs);
    expect(found()).toBe("t5");
    cache.endSnapshot(new Set(), clock.monotonicMs() + 1);
    expect(found()).toBeUndefined();
  });

  it("keeps the token until it expires where no stream lives, and trusts the stream where one does", () => {
    state(1);
    isLive = false;
    expect(found()).toBe("t1");
    clock.jump(2 * hourMs);
    expect(found()).toBeUndefined();
    isLive = true;
    expect(found()).toBe("t1");
    answer(2);
    expect(found()).toBeUndefined();
  });

  it("has the token of the connection that was made first", () => {
    state(7, { id: "two", value: "of two", createdMs: 2 });
    state(4, { id: "one", value: "of one", createdMs: 1 });
    expect(found()).toBe("of one");
    state(8, { id: "two", value: "of two again", createdMs: 2 });
    expect(found()).toBe("of one");
    answer(5, "of one again");
    expect(found()).toBe("of one again");
    state(5, { id: "one", status: REVOKED });
    expect(found()).toBe("of two again");
  });

  it("follows a name to a new connection, whose revisions begin anew", () => {
    state(9, { id: "old" });
    state(9, { id: "old", status: REVOKED });
    answer(1, "new");
    expect(found()).toBe("new");
    state(1, { id: "new", value: "new" });
    state(2, { id: "new", value: "newer" });
    expect(found()).toBe("newer");
  });

  it("asks for scopes once, in whatever words they were granted, and again after another grant", () => {
    state(1, { granted: ["read", "mail"] });
    expect(found(["read"])).toBe("t1");
    expect(found(["repo"])).toBeUndefined();
    cache.put(key, new Token(message(1, "t1", ["mail", "read"])), ["repo"], cache.reports(key));
    state(2, { granted: ["read", "mail"] });
    expect(found(["repo"])).toBe("t2");
    state(3);
    expect(found(["repo"])).toBeUndefined();
  });

  it("asks where the token lives too short", () => {
    answer(1);
    expect(cache.find(key, { scopes: [], minTtlMs: hourMs - 1 })).toBeDefined();
    expect(cache.find(key, { scopes: [], minTtlMs: hourMs + 1 })).toBeUndefined();
  });

  it("asks again for scopes that an API says are missing, and for no others", () => {
    answer(1, "t1", ["repo", "gist"]);
    cache.lacks(key, ["repo"]);
    expect([found(), found(["gist"]), found(["repo"])]).toEqual(["t1", "t1", undefined]);
  });

  it("tells who waits for a revision", async () => {
    state(1);
    const arriving = cache.arrives(key, ({ revision }) => revision >= 2, 10_000);
    state(2);
    expect((await arriving)?.revision).toBe(2);
    expect((await cache.arrives(key, ({ revision }) => revision >= 2, 10_000))?.revision).toBe(2);
    expect(await cache.arrives(key, () => false, 0)).toBeUndefined();
  });
});

describe("a token", () => {
  it("shows no secret", () => {
    const token = new Token(message(1, "hidden"));
    expect(inspect(token, { showHidden: true, depth: 5 }) + JSON.stringify(token)).not.toContain("hidden");
  });
});

describe("shared calls", () => {
  it("are one while somebody waits, and end with the last who does", async () => {
    const calls = new SharedCalls<string>();
    const signals: AbortSignal[] = [];
    const start = (signal: AbortSignal): Promise<string> => {
      signals.push(signal);
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("ended"))));
    };
    const [one, two] = [new AbortController(), new AbortController()];
    const joined = [one, two].map(({ signal }) => calls.join("k", signal, start));
    const ended = Promise.allSettled(joined);
    one.abort();
    expect([signals.length, signals[0]?.aborted]).toEqual([1, false]);
    two.abort();
    expect(signals[0]?.aborted).toBe(true);
    expect((await ended).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    const answered = calls.join("k", new AbortController().signal, async () => "again");
    expect(await answered).toBe("again");
  });
});
