import { inspect } from "node:util";
import { create } from "@bufbuild/protobuf";
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
import { ManualClock } from "../../fakes/manual_clock.js";

const name = tokenName(" GitHub", "ada");
const { key } = name;
const any = { scopes: [], minTtlMs: 0 };

let cache: TokenCache;
beforeEach(() => {
  cache = new TokenCache(new ManualClock(1_700_000_000_000), () => true);
  cache.want(name);
});

const message = (revision: number, value = `t${revision}`) =>
  create(TokenSchema, {
    revision: BigInt(revision),
    credentials: { access_token: value },
  });
/** A state of the stream. */
function state(revision: number): void {
  const names = { connectionId: "c", userId: "ada", providerName: "github", status: ConnectionStatus.ACTIVE };
  const value = { ...names, revision: BigInt(revision), token: message(revision) };
  cache.take(create(WatchTokensResponseSchema, { event: { case: "state", value } }));
}

describe("the cache", () => {
  it("has a thousand names, and takes no answer of another", () => {
    for (let n = 0; n < 1_000; n++) cache.want(tokenName("p", `user-${n}`));
    expect(cache.names()).toHaveLength(1_000);
    const { key: other } = tokenName("p", "user-999");
    cache.put(other, new Token(message(1)), [], 0);
    expect(cache.find(other, any)).toBeUndefined();
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
