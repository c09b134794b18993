import { readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, it } from "vitest";
import { ConnectionStatus } from "../../../clients/typescript/src/gen/nexus/v1/connection_pb.js";
import {
  TokenSchema,
  WatchTokensResponseSchema,
} from "../../../clients/typescript/src/gen/nexus/v1/token_pb.js";
import { Token } from "../../../clients/typescript/src/token.js";
import { TokenCache } from "../../../clients/typescript/src/token_cache.js";
import { tokenName } from "../../../clients/typescript/src/token_name.js";
import { ManualClock } from "../../fakes/manual_clock.js";

interface CaseToken {
  readonly id?: string;
  readonly revision: number;
  readonly status?: keyof typeof ConnectionStatus;
  readonly made_s?: number;
  readonly expires_s?: number;
  readonly granted?: string[];
}
interface Step {
  readonly pass_s?: number;
  readonly live?: boolean;
  readonly call?: string;
  readonly answer?: CaseToken;
  readonly of?: string;
  readonly scopes?: string[];
  readonly state?: CaseToken;
  readonly removed?: string;
  readonly snapshot?: string[];
  readonly asked_s_ago?: number;
  readonly lacks?: string[];
  readonly refused?: boolean;
  readonly find?: { readonly scopes?: string[]; readonly min_ttl_s?: number };
  readonly gives?: number | null;
}

const { cases }: { cases: { name: string; steps: Step[] }[] } = JSON.parse(
  readFileSync("test/clients/cache_cases.json", "utf8"),
);
const name = tokenName("github", "ada");
const { key } = name;

it.each(cases)("$name", ({ steps }) => {
  const clock = new ManualClock(1_800_000_000_000);
  // A snapshot may have been asked for before the case began.
  clock.advance(60_000);
  let isLive = false;
  const cache = new TokenCache(clock, () => isLive);
  cache.want(name);
  const message = ({ revision, granted = ["read"], expires_s }: CaseToken) =>
    create(TokenSchema, {
      ...{ revision: BigInt(revision), grantedScopes: granted },
      ...(expires_s === undefined ? {} : { expiresAt: timestampFromMs(clock.nowMs() + expires_s * 1_000) }),
    });
  const take = (event: Parameters<typeof create<typeof WatchTokensResponseSchema>>[1]): void =>
    cache.take(create(WatchTokensResponseSchema, event));
  const calls = new Map<string, number>();
  for (const step of steps) {
    if (step.pass_s !== undefined) clock.advance(step.pass_s * 1_000);
    else if (step.live !== undefined) isLive = step.live;
    else if (step.call !== undefined) calls.set(step.call, cache.reports(key));
    else if (step.answer)
      cache.put(
        key,
        new Token(message(step.answer)),
        step.scopes ?? [],
        calls.get(step.of ?? "") ?? cache.reports(key),
      );
    else if (step.state) {
      const { id: connectionId = "c", revision, status = "ACTIVE", made_s = 1 } = step.state;
      const names = { connectionId, userId: "ada", providerName: "github", status: ConnectionStatus[status] };
      const times = { revision: BigInt(revision), createdAt: timestampFromMs(made_s * 1_000) };
      const token = status === "ACTIVE" ? { token: message(step.state) } : {};
      take({ event: { case: "state", value: { ...names, ...times, ...token } } });
    } else if (step.removed !== undefined)
      take({ event: { case: "removed", value: { connectionId: step.removed } } });
    else if (step.snapshot) {
      isLive = true;
      cache.endSnapshot(new Set(step.snapshot), clock.monotonicMs() - (step.asked_s_ago ?? 0) * 1_000);
    } else if (step.lacks) cache.lacks(key, step.lacks);
    else if (step.refused) cache.empty();
    else {
      const found = cache.find(key, {
        scopes: step.find?.scopes ?? [],
        minTtlMs: (step.find?.min_ttl_s ?? 0) * 1_000,
      });
      expect([step, found?.revision ?? null]).toEqual([step, step.gives]);
    }
  }
});
