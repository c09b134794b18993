import { setTimeout as sleep } from "node:timers/promises";
import { timestampDate, timestampMs } from "@bufbuild/protobuf/wkt";
import { ConnectionStatus } from "../../../src/gen/nexus/v1/connection_pb.js";
import type { Position, TokenState, WatchTokensResponse } from "../../../src/gen/nexus/v1/token_pb.js";
import { DemoFailure } from "../failure.js";
import { wordOf } from "../scenes.js";
import type { DemoFleet, DemoHub } from "./demo_fleet.js";

const roundMs = 200;
/** A hub that takes longer is passed over. */
const patienceMs = 2_000;

/** What an agent asks all the time, and how it was answered. */
export interface AgentReport {
  /** How often a token was asked for, and then used at the provider. */
  asks: number;
  /** How often a hub was passed over because it did not answer. */
  detours: number;
  slowestMs: number;
}

/**
 * An agent with the rules of any client: it asks one hub after the other until one answers, and holds one stream, which it opens at
 * another hub when it ends. A token that is not there or not taken, and a revision that goes back, end the demo.
 */
export class FleetAgent {
  readonly report: AgentReport = { asks: 0, detours: 0, slowestMs: 0 };
  readonly #states = new Map<string, TokenState>();
  #position: Position | undefined;
  #changed: (() => void)[] = [];

  constructor(
    private readonly fleet: DemoFleet,
    private readonly connectionIds: readonly string[],
    /** Uses a token at the provider. @throws DemoFailure when it is not taken */
    private readonly use: (accessToken: string | undefined) => Promise<void>,
    private readonly onMoved: (from: DemoHub, to: DemoHub) => void,
  ) {}

  /** Goes on until the signal aborts. @throws DemoFailure when a promise is broken */
  async run(first: DemoHub, signal: AbortSignal): Promise<void> {
    await Promise.all([this.#ask(signal), this.#watch(first, signal)]);
  }

  /** Resolves when every connection has a token of at least this revision. @returns when the first of them is refreshed next */
  async holds(revision: bigint, signal: AbortSignal): Promise<Date> {
    for (;;) {
      const tokens = this.connectionIds.map((id) => this.#states.get(id)?.token);
      if (tokens.every((token) => (token?.revision ?? 0n) >= revision)) {
        const dueMs = tokens.map((token) =>
          token?.refreshNotBefore ? timestampMs(token.refreshNotBefore) : 0,
        );
        return new Date(Math.min(...dueMs));
      }
      await new Promise<void>((resolve, reject) => {
        this.#changed.push(resolve);
        signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      });
    }
  }

  async #ask(signal: AbortSignal): Promise<void> {
    for (let turn = 0; !signal.aborted; turn++) {
      for (const connectionId of this.connectionIds) await this.#askOnce(connectionId, turn);
      await sleep(roundMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async #askOnce(connectionId: string, turn: number): Promise<void> {
    const { hubs } = this.fleet;
    const startedMs = performance.now();
    for (let tries = 0; tries < hubs.length; tries++) {
      const { clients } = hubs[(turn + tries) % hubs.length] as DemoHub;
      const answer = await clients.tokens
        .getToken({ connectionId }, { timeoutMs: patienceMs })
        .catch(() => undefined);
      if (answer?.token === undefined) {
        this.report.detours++;
        continue;
      }
      const { expiresAt, credentials } = answer.token;
      if (expiresAt && timestampDate(expiresAt) < new Date())
        throw new DemoFailure("a hub answered a token that has ended");
      await this.use(credentials["access_token"]);
      this.report.asks++;
      this.report.slowestMs = Math.max(this.report.slowestMs, performance.now() - startedMs);
      return;
    }
    throw new DemoFailure("a gap: no hub had a token for the agent");
  }

  async #watch(first: DemoHub, signal: AbortSignal): Promise<void> {
    let hub = first;
    while (!signal.aborted) {
      await this.#watchAt(hub, signal);
      if (signal.aborted) return;
      const before = hub;
      const others = this.fleet.up.filter((one) => one !== before);
      hub = others[0] ?? before;
      this.onMoved(before, hub);
    }
  }

  /** Ends when the stream does. */
  async #watchAt({ clients }: DemoHub, signal: AbortSignal): Promise<void> {
    const ending = new AbortController();
    const stream = clients.tokens.watchTokens(
      {
        connectionIds: [...this.connectionIds],
        bookmarkInterval: { seconds: 5n },
        ...(this.#position ? { position: this.#position } : {}),
      },
      { signal: AbortSignal.any([signal, ending.signal]) },
    );
    try {
      for await (const message of stream) {
        if (message.event.case === "drain") return;
        this.#take(message);
      }
    } catch (error) {
      if (error instanceof DemoFailure) throw error;
    } finally {
      ending.abort();
    }
  }

  #take({ event }: WatchTokensResponse): void {
    if (event.case === "bookmark") this.#position = event.value.position;
    if (event.case === "reset")
      throw new DemoFailure("a hub did not know the position that another one had told");
    if (event.case !== "state") return;
    const state = event.value;
    if (state.status !== ConnectionStatus.ACTIVE) {
      throw new DemoFailure(`a grant is lost: a connection is ${wordOf(state.status)}`);
    }
    const held = this.#states.get(state.connectionId);
    if (held && held.revision > state.revision) throw new DemoFailure("a revision went back");
    this.#states.set(state.connectionId, state);
    for (const wake of this.#changed.splice(0)) wake();
  }
}
