/** A hub of the storm: the parts of the protocol around a store in memory. `node hub.mjs`, configured by `STORM`. */
import { appendFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { FleetDiverged, FleetOutrun } from "../../../../src/ext/fleet/database/connection/fleet_error.js";
import { FleetDatabase } from "../../../../src/ext/fleet/database/fleet_database.js";
import type { Lease } from "../../../../src/ext/fleet/database/lease.js";
import type { DatabaseLog } from "../../../../src/ext/fleet/database/log/database_log.js";
import { SystemClock } from "../../../../src/runtime/clock.js";
import { type Held, Refreshes } from "./refreshes.js";
import { Commits, Deposed, Replica } from "./replica.js";

export interface HubSettings {
  readonly url: string;
  /** UUID of this process, which the storm chose. */
  readonly owner: string;
  readonly folder: string;
  /** Where others reach it: through a proxy to its socket. */
  readonly address: string;
  readonly providerPort: number;
  readonly leaseMs: number;
  readonly timeoutMs: number;
  readonly patienceMs: number;
  /** Breaks the protocol, to see that the storm finds it. */
  readonly sabotage: string;
}

/** What it tells the storm. */
export type HubMessage =
  | { readonly kind: "leads" | "follows" }
  | { readonly kind: "state"; readonly position: string; readonly digest: string };

const settings = JSON.parse(process.env["STORM"] ?? "{}") as HubSettings;
const clock = new SystemClock();
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const acknowledgedFile = join(settings.folder, "acknowledged");
const spoolFile = join(settings.folder, "spool");
const replica = new Replica();
const feeding = new AbortController();
let term:
  | { commits: Commits; refreshes: Refreshes; log: DatabaseLog; lease: Lease; ending: AbortController }
  | undefined;
let isEnding = false;
let isQuiet = false;

const tell = (message: HubMessage): void => void process.send?.(message);

const database = await untilConnected();
const lease = database.lease({
  address: settings.address,
  leaseMs: settings.leaseMs,
  onLost: () => void end(75),
});
process.on("SIGTERM", () => void end(0));
process.on("message", (message) => void (message === "stop" ? void quiet() : tellState()));
createServer((incoming, response) => {
  let text = "";
  incoming.on("data", (piece) => {
    text += String(piece);
  });
  incoming.on("end", () => {
    const home =
      term && !isEnding
        ? term.refreshes.drainOutbox(JSON.parse(text) as Held[])
        : Promise.reject(new Error());
    home.then(
      () => response.writeHead(200).end(),
      () => response.writeHead(503).end(),
    );
  });
}).listen(join(settings.folder, "socket"));
tell({ kind: "follows" });
void follow();
void deliver();
await lead();

async function untilConnected(): Promise<FleetDatabase> {
  for (;;) {
    try {
      const connected = await FleetDatabase.connect({
        url: settings.url,
        clock,
        log: silent,
        member: () => ({
          owner: settings.owner,
          address: settings.address,
          version: "storm",
          layout: 1,
          keyIds: [],
          applied: replica.position.position,
        }),
      });
      const copy = connected.firstCopy();
      for await (const writes of copy.entries) replica.load(writes);
      replica.begin(copy.position);
      return connected;
    } catch {
      await sleep(100 + Math.random() * 200);
    }
  }
}

async function follow(): Promise<void> {
  try {
    for await (const batches of database.feed(replica.position, feeding.signal)) {
      for (const batch of batches) replica.apply(batch);
    }
  } catch (error) {
    // With synchronous replication no hub may ever have more than the database.
    const code = error instanceof FleetDiverged ? 76 : error instanceof FleetOutrun ? 77 : 78;
    console.error(error);
    process.exit(code);
  }
}

/** Tries to lead until it does. */
async function lead(): Promise<void> {
  while (!isEnding) {
    const fence = await acquired().catch(() => undefined);
    if (fence === undefined) {
      await sleep(100 + Math.random() * 100);
      continue;
    }
    const newest = await untilAnswered(() => database.newest());
    while (replica.position.position < newest && !isEnding) await sleep(5);
    feeding.abort();
    if (isEnding) return;
    begin(fence);
    return;
  }
}

async function acquired(): Promise<bigint | undefined> {
  return (await lease.acquire()) ? lease.fence : undefined;
}

function begin(fence: bigint): void {
  const log = database.leaderLog(fence, database.verdict.epoch);
  const commits = new Commits(replica, log, ({ position, id }, changes) => {
    const line = { position: String(position), id, events: changes.map(({ event }) => event) };
    appendFileSync(acknowledgedFile, `${JSON.stringify(line)}\n`);
  });
  const onDeposed = (error: unknown): void => {
    // Its log may be fenced. It may not be another one.
    if (error instanceof Deposed && error.message !== "fenced") process.exit(76);
    if (!isEnding) void end(75);
  };
  const isSafeToSend = settings.sabotage === "send" ? () => true : () => lease.isSafeToSend();
  const refreshes = new Refreshes(replica, commits, { ...settings, clock, isSafeToSend, onDeposed });
  const ending = new AbortController();
  term = { commits, refreshes, log, lease, ending };
  void database.imageKeeper(fence).run(ending.signal);
  if (!isQuiet) refreshes.start();
  tell({ kind: "leads" });
}

/** Ends a reign: what was answered is handed to the next leader, or kept for the next start. */
async function end(code: number): Promise<void> {
  if (isEnding) return;
  isEnding = true;
  feeding.abort();
  if (term) {
    term.ending.abort();
    const ended = term.refreshes.end();
    // A leader that was deposed hears it from its own commits, or waits for none of them any more.
    await Promise.race([ended, sleep(code === 0 ? 8_000 : 3_000)]);
    if (code !== 0) await term.log.close();
    const held = [...term.refreshes.held.values()];
    if (held.length > 0) spool(held);
    await deliver(3_000);
  }
  await lease.release().catch(() => undefined);
  process.exit(code);
}

function spool(held: readonly Held[]): void {
  const before = existsSync(spoolFile) ? (JSON.parse(readFileSync(spoolFile, "utf8")) as Held[]) : [];
  writeFileSync(spoolFile, JSON.stringify([...before, ...held]));
}

/** Hands what is in the spool to whoever leads. */
async function deliver(withinMs = 60_000): Promise<void> {
  const endMs = clock.monotonicMs() + withinMs;
  while (existsSync(spoolFile) && clock.monotonicMs() < endMs) {
    const text = readFileSync(spoolFile, "utf8");
    const holder = await lease.holder().catch(() => undefined);
    const isTaken =
      holder?.owner === settings.owner
        ? await term?.refreshes.drainOutbox(JSON.parse(text) as Held[]).then(
            () => true,
            () => false,
          )
        : holder && (await posted(holder.address, text));
    if (isTaken) rmSync(spoolFile, { force: true });
    else await sleep(100);
  }
}

function posted(address: string, text: string): Promise<boolean> {
  return new Promise((resolve) => {
    const outgoing = request(`${address}/bring-home`, { method: "POST", timeout: 2_000 }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode === 200));
    });
    outgoing.on("timeout", () => outgoing.destroy());
    outgoing.on("close", () => resolve(false));
    outgoing.on("error", () => resolve(false));
    outgoing.end(text);
  });
}

async function untilAnswered<T>(ask: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch {
      await sleep(100);
    }
  }
}

/** Refreshes nothing more, for the last comparison. */
async function quiet(): Promise<void> {
  isQuiet = true;
  await term?.refreshes.end();
}

function tellState(): void {
  tell({ kind: "state", position: String(replica.position.position), digest: replica.digest() });
}
