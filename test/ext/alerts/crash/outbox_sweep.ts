import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { outboxIn } from "../../../../src/ext/alerts/outbox/notification_queue.js";
import { alertTables } from "../../../../src/ext/alerts/outbox/tables.js";
import { Store } from "../../../../src/store/store.js";
import { type ReceivedEvent, WebhookReceiver, webhookSecret } from "../../../fakes/webhook_receiver.js";
import { aConnection } from "../../../samples.js";
import { flipsOf, type OutboxBoundary, receiverBoundaries } from "./outbox_boundaries.js";

const connectionCount = 12;
/** A child that has not died of its boundary by then never will. */
const limitMs = 20_000;
/** A child that has told everything is watched for so long: what it told is marked, and is not told again. */
const silenceMs = 1_500;
/** Of the answers of the receiver: what is not taken is told again. */
const refusedPart = 0.12;
const droppedPart = 0.05;

interface Taken {
  readonly life: number;
  readonly event: ReceivedEvent;
  readonly flips: number;
}

export interface OutboxResult {
  kills: number;
  /** What happened, and was to be told. */
  told: number;
  /** What a kill between the receiver's answer and its mark has told a second time, under the same id. */
  repeated: number;
  lost: number;
}

/** One store, many lives of the child that tells of it, and a receiver that refuses and hangs up. */
export class OutboxSweep {
  readonly result: OutboxResult = { kills: 0, told: 0, repeated: 0, lost: 0 };
  readonly violations: string[] = [];
  readonly #receiver = new WebhookReceiver();
  readonly #folder = mkdtempSync(join(tmpdir(), "nexus-outbox-"));
  readonly #taken: Taken[] = [];
  /** Lives in which an answer came too late, as on a machine that stands still: what was taken then is told again. */
  readonly #late = new Set<number>();
  #life = 0;
  #arrivals = 0;
  /** Whether the child is killed by what arrives. */
  #onArrival: ((event: ReceivedEvent, life: number) => boolean) | undefined;

  constructor(private readonly childFile: string) {}

  async open(): Promise<void> {
    await this.#receiver.open();
    this.#receiver.answer = (event, response, path) =>
      this.#answer(event, response, Number(path.split("/").at(-1)));
    writeFileSync(this.#secretsFile, `${webhookSecret}\n`);
    const store = Store.open({ folder: this.#folder, nowMs: Date.now(), tables: alertTables });
    await store.commit((tx) => {
      for (let index = 0; index < connectionCount; index++) {
        const named = { id: `c${index}`, userId: `user-${index}`, providerName: "flip-0" };
        tx.putConnection(aConnection({ ...named, status: "pending" }));
      }
    });
    await store.close();
  }

  async close(): Promise<void> {
    await this.#receiver.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** One life: it goes on with what the last one left, and is killed. */
  async kill(boundary: OutboxBoundary, after: number): Promise<void> {
    const { child, gone } = await this.#start(boundary, after);
    let passagesLeft = after;
    if (receiverBoundaries.some((each) => each === boundary)) {
      this.#onArrival = (event, life) => {
        if (passagesLeft-- > 0) return false;
        if (boundary === "taken") this.#take(event, life);
        return child.kill("SIGKILL");
      };
    }
    if (boundary === "random") setTimeout(() => child.kill("SIGKILL"), 10 + after * 25);
    child.stdin?.write("arm\n");
    const killTimer = setTimeout(() => {
      this.violations.push(`life ${this.#life} did not pass ${boundary}`);
      child.kill("SIGKILL");
    }, limitMs);
    await gone;
    clearTimeout(killTimer);
    this.#onArrival = undefined;
    this.result.kills++;
  }

  /** The last lives: one tells the rest, and one that has nothing to tell. */
  async judge(): Promise<void> {
    await this.#drain(0);
    const before = this.#arrivals;
    await this.#drain(silenceMs);
    if (this.#arrivals !== before) this.violations.push("what was told is told again");
    const store = Store.open({ folder: this.#folder, nowMs: Date.now(), tables: alertTables });
    const { count } = outboxIn(store);
    if (count !== 0) this.violations.push(`${count} are counted`);
    for (const connection of store.listConnections({ limit: 100 }))
      this.#judgeOne(connection.id, flipsOf(connection));
    await store.close();
  }

  /** In order, each at least once, and a second time only in another life and under the same id. */
  #judgeOne(id: string, flips: number): void {
    this.result.told += flips;
    let last: Taken | undefined;
    for (const taken of this.#taken.filter(({ event }) => event.data["connection_id"] === id)) {
      const expected = (last?.flips ?? 0) + 1;
      if (last && taken.flips === last.flips) {
        this.result.repeated++;
        if (taken.life === last.life && !this.#late.has(taken.life))
          this.violations.push(`${id} was told of ${taken.flips} twice by one life`);
        if (taken.event.id !== last.event.id)
          this.violations.push(`${id} was told of ${taken.flips} under two ids`);
      } else if (taken.flips !== expected) {
        this.violations.push(`${id} was told of ${taken.flips} instead of ${expected}`);
      }
      last = taken;
    }
    const missing = flips - (last?.flips ?? 0);
    if (missing !== 0) this.violations.push(`${id} was not told of its last ${missing}`);
    this.result.lost += Math.max(0, missing);
  }

  async #drain(watchMs: number): Promise<void> {
    const { child, gone, drained } = await this.#start("none", 0);
    child.stdin?.write("drain\n");
    const killTimer = setTimeout(() => child.kill("SIGKILL"), limitMs);
    const outcome = await Promise.race([drained.then(() => "drained"), gone.then(() => "gone")]);
    if (outcome === "gone") this.violations.push("the outbox is not empty in the end");
    await new Promise((resolve) => setTimeout(resolve, watchMs));
    child.stdin?.write("end\n");
    await gone;
    clearTimeout(killTimer);
  }

  async #start(boundary: OutboxBoundary | "none", after: number) {
    this.#life++;
    // What a life has sent may be read when the next one has begun.
    const url = `${this.#receiver.url}/${this.#life}`;
    const given = [this.#folder, url, this.#secretsFile, boundary, String(after)];
    const child: ChildProcess = spawn(process.execPath, [this.childFile, ...given], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    // What is written to one that has died.
    child.stdin?.on("error", () => undefined);
    const gone = once(child, "close");
    const lines = createInterface({ input: child.stdout ?? process.stdin });
    const said = (word: string) =>
      new Promise<void>((resolve) => {
        lines.on("line", (line) => line === word && resolve());
      });
    const life = this.#life;
    lines.on("line", (line) => line === "timeout" && this.#late.add(life));
    const drained = said("drained");
    await Promise.race([
      said("ready"),
      gone.then(() => Promise.reject(new Error(`life ${this.#life} ended before it was ready`))),
    ]);
    return { child, gone, drained };
  }

  /** @param life that sent it */
  #answer(event: ReceivedEvent, response: ServerResponse, life: number): void {
    this.#arrivals++;
    if (this.#onArrival?.(event, life)) return void response.destroy();
    const drawn = Math.random();
    if (drawn < refusedPart) return void response.writeHead(drawn < refusedPart / 2 ? 503 : 500).end();
    if (drawn < refusedPart + droppedPart) return void response.destroy();
    this.#take(event, life);
    response.writeHead(204).end();
  }

  #take(event: ReceivedEvent, life: number): void {
    const flips = flipsOf({ providerName: event.data["provider"] ?? "" });
    this.#taken.push({ life, event, flips });
  }

  get #secretsFile(): string {
    return join(this.#folder, "webhook.secrets");
  }
}
