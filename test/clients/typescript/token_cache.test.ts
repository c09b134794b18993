import { inspect } from "node:util";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { beforeEach, describe, expect, it } from "vitest";
import {
  TokenSchema,
  WatchTokensResponseSchema,
} from "../../../clients/typescript/src/gen/nexus/v1/token_pb.js";
import { SharedCalls } from "../../../clients/typescript/src/shared_calls.js";
import { Token } from "../../../clients/typescript/src/token.js";
import { TokenCache } from "../../../clients/typescript/src/token_cache.js";
import { tokenName } from "../../../clients/typescript/src/token_name.js";
import { ManualClock } from "../../../src/runtime/manual_clock.js";

const { key } = tokenName(" GitHub", "ada");
const any = { scopes: [], minTtlMs: 0 };
const hourMs = 3_600_000;

let clock: ManualClock;
let isCovered: boolean;
let cache: TokenCache;
beforeEach(() => {
  clock = new ManualClock(1_700_000_000_000);
  isCovered = true;
  cache = new TokenCache(clock, () => isCovered);
});

const message = (revision: number, value = `t${revision}`) =>
  create(TokenSchema, {
    revision: BigInt(revision),
    credentials: { access_token: value },
    grantedScopes: ["read"],
    expiresAt: timestampFromMs(1_700_000_000_000 + hourMs),
  });
const acquired = (revision: number, value?: string): Token => new Token(message(revision, value));
/** A state of the stream; without a revision one that has no token. */
const state = (connectionId: string, revision?: number, value?: string): void =>
  cache.take(
    create(WatchTokensResponseSchema, {
      event: {
        case: "state",
        value: {
          ...{ connectionId, userId: "ada", providerName: "github" },
          ...(revision === undefined ? {} : { token: message(revision, value) }),
        },
      },
    }),
  );
const found = () => cache.find(key, any)?.credentials["access_token"];

describe("the cache", () => {
  it("takes the newer of the answer and the stream", () => {
    cache.put(key, acquired(2), []);
    state("c", 1);
    expect(found()).toBe("t2");
    state("c", 3);
    expect(found()).toBe("t3");
    cache.put(key, acquired(2), []);
    expect(found()).toBe("t3");
  });

  it("gives up what the stream takes away", () => {
    state("c", 1);
    state("c");
    expect(found()).toBeUndefined();
    cache.put(key, acquired(1), []);
    expect(found()).toBe("t1");
    state("c", 1);
    cache.take(
      create(WatchTokensResponseSchema, { event: { case: "removed", value: { connectionId: "c" } } }),
    );
    expect(found()).toBeUndefined();
  });

  it("forgets what a snapshot does not name, but no answer that is newer than it", () => {
    state("c", 1);
    cache.endSnapshot([key], new Set(["c"]), clock.monotonicMs());
    expect(found()).toBe("t1");
    cache.endSnapshot([key], new Set(), clock.monotonicMs());
    expect(found()).toBeUndefined();
    const openedMs = clock.monotonicMs();
    cache.put(key, acquired(5), []);
    cache.endSnapshot([key], new Set(), openedMs);
    expect(found()).toBe("t5");
    cache.endSnapshot([key], new Set(), clock.monotonicMs() + 1);
    expect(found()).toBeUndefined();
  });

  it("keeps the token until it expires where no stream lives, and trusts the stream where one does", () => {
    state("c", 1);
    isCovered = false;
    expect(found()).toBe("t1");
    clock.jump(2 * hourMs);
    expect(found()).toBeUndefined();
    isCovered = true;
    expect(found()).toBe("t1");
  });

  it("asks which of two connections of a name it is, and follows that one", () => {
    state("one", 4, "of one");
    state("two", 7, "of two");
    expect(found()).toBeUndefined();
    cache.put(key, acquired(4, "of one"), []);
    expect(found()).toBe("of one");
    state("two", 8, "of two again");
    state("one", 5, "of one again");
    expect(found()).toBe("of one again");
    state("one");
    expect(found()).toBe("of two again");
  });

  it("follows a name to a new connection, whose revisions begin anew", () => {
    state("old", 9);
    state("old");
    cache.put(key, acquired(1, "new"), []);
    expect(found()).toBe("new");
    state("new", 1, "new");
    state("new", 2, "newer");
    expect(found()).toBe("newer");
  });

  it("asks for scopes once, in whatever words they were granted", () => {
    cache.put(key, acquired(1), []);
    expect(cache.find(key, { scopes: ["read"], minTtlMs: 0 })).toBeDefined();
    const wish = { scopes: ["repo"], minTtlMs: 0 };
    expect(cache.find(key, wish)).toBeUndefined();
    cache.put(key, acquired(1), ["repo"]);
    state("c", 2);
    expect(cache.find(key, wish)).toBeDefined();
    state("c");
    state("c", 3);
    expect(cache.find(key, wish)).toBeUndefined();
  });

  it("asks where the token lives too short", () => {
    cache.put(key, acquired(1), []);
    expect(cache.find(key, { scopes: [], minTtlMs: hourMs - 1 })).toBeDefined();
    expect(cache.find(key, { scopes: [], minTtlMs: hourMs + 1 })).toBeUndefined();
  });

  it("asks once after a doubt", () => {
    cache.put(key, acquired(1), []);
    cache.doubt(key);
    expect(found()).toBeUndefined();
    cache.settle(key);
    expect(found()).toBe("t1");
  });

  it("tells who waits for a revision", async () => {
    state("c", 1);
    const arriving = cache.arrives(key, ({ revision }) => revision >= 2, 10_000);
    state("c", 2);
    expect((await arriving)?.revision).toBe(2);
    expect((await cache.arrives(key, ({ revision }) => revision >= 2, 10_000))?.revision).toBe(2);
    expect(await cache.arrives(key, () => false, 0)).toBeUndefined();
  });
});

describe("a token", () => {
  it("shows no secret", () => {
    const token = acquired(1, "hidden");
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
