import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { Copies } from "../../../../src/ext/spoke/copies/copies.js";
import { CopyClock, maxSilenceMs } from "../../../../src/ext/spoke/copies/copy_clock.js";
import {
  type Token,
  TokenSchema,
  type TokenState,
  TokenStateSchema,
} from "../../../../src/gen/nexus/v1/token_pb.js";
import type { ConnectionStatus } from "../../../../src/model/connections/connection.js";
import { bearerStrategy, type Strategy } from "../../../../src/model/credentials/strategy.js";
import { newId } from "../../../../src/model/ids.js";
import { strategyMessage } from "../../../../src/model/providers/strategy_message.js";
import { statusMessages } from "../../../../src/service/messages/connection_message.js";
import { present, timestampOf } from "../../../../src/service/messages/timestamps.js";
import { Engine, hourMs, startMs } from "../../../domain/engine.js";
import { aProfile } from "../../../samples.js";
import { silentLog } from "../../../silent_log.js";

const headerStrategy: Strategy = {
  kind: "header",
  headerName: "X-Key",
  valuePrefix: "",
  credentialField: "key",
};

interface CopiedToken {
  readonly strategy: Strategy;
  readonly credentials: Record<string, string>;
  readonly expiresAtMs: number | undefined;
  readonly refreshNotBeforeMs: number | undefined;
}

interface CopiedState {
  readonly connectionId: string;
  readonly userId: string;
  readonly providerId: string;
  readonly label: string;
  readonly status: ConnectionStatus;
  readonly revision: bigint;
  readonly token: CopiedToken | undefined;
  readonly problem?: { readonly reason: string };
  readonly createdAtMs: number | undefined;
}

function aToken(change: Partial<CopiedToken> = {}): CopiedToken {
  return {
    strategy: bearerStrategy,
    credentials: { access_token: "access-1-secret" },
    expiresAtMs: startMs + hourMs,
    refreshNotBeforeMs: startMs + hourMs / 2,
    ...change,
  };
}

function aState(change: Partial<CopiedState> = {}): CopiedState {
  return {
    ...{ connectionId: newId(), userId: "ada", providerId: newId(), label: "" },
    ...{ status: "active", revision: 7n, token: aToken(), createdAtMs: startMs },
    ...change,
  };
}

function tokenMessage(
  { strategy, expiresAtMs, refreshNotBeforeMs, ...more }: CopiedToken,
  revision: bigint,
): Token {
  const times = present({
    expiresAt: timestampOf(expiresAtMs),
    refreshNotBefore: timestampOf(refreshNotBeforeMs),
  });
  const said = { strategy: strategyMessage(strategy), grantedScopes: ["read"], tokenType: "Bearer" };
  return create(TokenSchema, { ...more, ...said, ...times, revision });
}

function stateMessage({ status, token, createdAtMs, ...more }: CopiedState): TokenState {
  return create(TokenStateSchema, {
    ...more,
    providerName: "op",
    status: statusMessages[status],
    ...present({ token: token && tokenMessage(token, more.revision), createdAt: timestampOf(createdAtMs) }),
  });
}

/** A copy on a real store; no hub is there. */
class World {
  readonly engine = new Engine();
  readonly store = this.engine.store;
  readonly copies = new Copies(this.engine);
  lastContactAtMs: number | undefined = startMs;
  readonly silences: number[] = [];
  readonly ends = new CopyClock({
    ...{ ...this.engine, store: this.engine.store, copies: this.copies, log: silentLog },
    clock: this.engine.clock,
    lastContactAtMs: () => this.lastContactAtMs,
    onSilent: () => this.silences.push(this.engine.clock.nowMs()),
  });

  put(state: CopiedState): Promise<void> {
    return this.copies.put(stateMessage(state));
  }

  view(id: string) {
    return this.engine.reader.view(id);
  }
}

describe("a copy", () => {
  it("holds a token under its revision, however it is sent", async () => {
    const world = new World();
    const state = aState();
    await world.put(state);
    expect(world.view(state.connectionId)?.token).toMatchObject({
      ...{ credentials: { access_token: "access-1-secret" }, revision: 7n, tokenType: "Bearer" },
      ...{ expiresAtMs: startMs + hourMs, refreshNotBeforeMs: startMs + hourMs / 2, grantedScopes: ["read"] },
    });
    const token = aToken({ strategy: headerStrategy, credentials: { key: "k" }, expiresAtMs: undefined });
    const other = aState({ token });
    await world.put(other);
    expect(world.view(other.connectionId)?.token).toMatchObject({
      credentials: { key: "k" },
      strategy: headerStrategy,
    });
  });

  it("changes nothing when it is told what it knows", async () => {
    const world = new World();
    const state = aState();
    await world.put(state);
    const { revision } = world.store;
    world.engine.clock.advance(1_000);
    await world.put({ ...state });
    expect(world.store.revision).toBe(revision);
    await world.put({ ...state, label: "other" });
    await world.put({
      ...state,
      token: aToken({ strategy: headerStrategy, credentials: { key: "k" } }),
    });
    expect(world.store.revision).toBe(revision + 2n);
  });

  it.each([
    [aToken(), aToken({ credentials: { access_token: "access-2-secret" } })],
    [
      aToken({ strategy: headerStrategy, credentials: { key: "one" } }),
      aToken({ strategy: headerStrategy, credentials: { key: "two" } }),
    ],
  ])("takes another credential of a revision, from a hub that was restored: %#", async (one, other) => {
    const world = new World();
    const state = aState({ token: one });
    await world.put(state);
    await world.put({ ...state, token: other });
    expect(world.view(state.connectionId)?.token?.credentials).toEqual(other.credentials);
    const { revision } = world.store;
    await world.put({ ...state, token: { ...other } });
    expect(world.store.revision).toBe(revision);
  });

  it.each([
    { status: "revoked" },
    { status: "attention", problem: { reason: "reauth_required" } },
    // It expired, and a refresh is on its way.
    { status: "active" },
  ] as const)("gives up a token that the hub takes away: %j", async (change) => {
    const world = new World();
    const state = aState();
    await world.put(state);
    await world.put({ ...state, ...change, token: undefined });
    const view = world.view(state.connectionId);
    expect(view).toMatchObject({
      token: undefined,
      connection: { status: change.status, credentialRevision: 7n },
    });
    expect(world.store.getCredential(state.connectionId)).toBeUndefined();
  });

  it("holds what a hub answered over what a stream tells later, until the hub tells everything", async () => {
    const world = new World();
    const state = aState();
    const { connectionId: id } = state;
    const newer = aToken({ credentials: { access_token: "access-2-secret" } });
    const held = () => {
      const token = world.view(id)?.token;
      return [token?.revision, token?.credentials["access_token"]];
    };
    await world.copies.hold(id, tokenMessage(newer, 8n));
    expect(held()).toEqual([undefined, undefined]);
    await world.put(state);
    await world.copies.hold(id, tokenMessage(newer, 8n));
    expect(held()).toEqual([8n, "access-2-secret"]);
    // The hub whose stream is followed is behind the one that answered.
    await world.put({ ...state, status: "attention", token: undefined });
    await world.copies.hold(id, tokenMessage(aToken(), 7n));
    expect(held()).toEqual([8n, "access-2-secret"]);
    const { revision } = world.store;
    await world.put({ ...state, revision: 8n, token: newer });
    expect(world.store.revision).toBe(revision);
    // As after a restore of its store.
    world.copies.beginSnapshot();
    await world.put(state);
    expect(held()).toEqual([7n, "access-1-secret"]);
  });

  it("forgets what a snapshot does not name, and nothing when there is none", async () => {
    const world = new World();
    const [kept, gone] = [aState(), aState()];
    for (const state of [kept, gone]) await world.put(state);
    await world.copies.endSnapshot();
    expect(world.view(gone.connectionId)).toBeDefined();
    world.copies.beginSnapshot();
    await world.put(kept);
    await world.copies.endSnapshot();
    expect(world.view(gone.connectionId)).toBeUndefined();
    expect(world.view(kept.connectionId)?.token).toBeDefined();
    world.copies.beginSnapshot();
    world.copies.abandonSnapshot();
    await world.copies.endSnapshot();
    expect(world.view(kept.connectionId)?.token).toBeDefined();
    await world.copies.remove(kept.connectionId);
    expect(world.view(kept.connectionId)).toBeUndefined();
  });

  it("finds by a name what the hub made first, whichever it told first", async () => {
    const world = new World();
    const name = { userId: "ada", providerId: newId(), label: "" };
    const [older, newer] = [
      aState({ ...name, createdAtMs: startMs - 2 }),
      aState({ ...name, createdAtMs: startMs - 1 }),
    ];
    for (const state of [newer, older]) await world.put(state);
    expect([...world.store.idsNamed(name)]).toEqual([older.connectionId, newer.connectionId]);
    // A copy that an older version made learns it.
    const first = { ...newer, createdAtMs: startMs - 3 };
    await world.put(first);
    await world.put({ ...first, createdAtMs: undefined });
    expect([...world.store.idsNamed(name)]).toEqual([newer.connectionId, older.connectionId]);
  });

  it("follows profiles, whose names may have been exchanged", async () => {
    const world = new World();
    const [one, other] = [aProfile({ name: "one" }), aProfile({ name: "other" })];
    expect(await world.copies.putProviders([one, other])).toHaveLength(2);
    expect(await world.copies.putProviders([one, other])).toEqual([]);
    const exchanged = [
      { ...one, name: "other", version: 2n },
      { ...other, name: "one", version: 2n },
    ];
    await world.copies.putProviders(exchanged);
    expect(world.store.findProviderIdByName("one")).toBe(other.id);
    expect(await world.copies.putProviders(exchanged.slice(1))).toEqual([one.id]);
    expect(world.store.getProvider(one.id)).toBeUndefined();
  });
});

describe("time", () => {
  it("tells watchers that a token has ended, once", async () => {
    const world = new World();
    const state = aState();
    await world.put(state);
    await world.ends.start();
    const { revision } = world.store;
    const later = async (byMs: number) => {
      world.engine.clock.advance(byMs);
      world.lastContactAtMs = world.engine.clock.nowMs();
      // The round that began sets the timer of the next.
      await new Promise((resolve) => setImmediate(resolve));
      await world.store.settled();
      return world.store.revision;
    };
    expect(await later(hourMs - 5_000)).toBe(revision);
    await expect.poll(() => later(1_000), { interval: 1 }).toBe(revision + 1n);
    expect(world.engine.clock.nowMs()).toBeGreaterThanOrEqual(startMs + hourMs);
    expect(world.engine.clock.nowMs()).toBeLessThan(startMs + hourMs + 10_000);
    expect(world.view(state.connectionId)?.token).toBeUndefined();
    for (let round = 0; round < 3; round++) await later(1_000);
    await world.ends.stop();
    expect(world.store.revision).toBe(revision + 1n);
  });

  it("ends credentials without an end when no hub was heard for an hour, and only these", async () => {
    const world = new World();
    const token = aToken({ expiresAtMs: undefined, refreshNotBeforeMs: undefined });
    const [endless, living] = [
      aState({ token }),
      aState({ token: aToken({ expiresAtMs: startMs + 9 * hourMs }) }),
    ];
    for (const state of [endless, living]) await world.put(state);
    world.engine.clock.advance(maxSilenceMs - 1);
    await world.ends.start();
    expect(world.view(endless.connectionId)?.token).toBeDefined();
    await world.copies.endStatic(() => false);
    expect(world.view(endless.connectionId)?.token).toBeDefined();
    world.engine.clock.advance(1_000);
    await expect.poll(() => world.view(endless.connectionId)?.token).toBeUndefined();
    expect(world.silences).toHaveLength(1);
    expect(world.view(living.connectionId)?.token).toBeDefined();
    world.lastContactAtMs = world.engine.clock.nowMs();
    await world.put(endless);
    expect(world.view(endless.connectionId)?.token).toBeDefined();
    await world.ends.stop();
  });
});
