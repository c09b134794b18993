/**
 * The outbox of notifications in a process of its own, to be killed: `outbox_child <folder> <url> <secrets file> <boundary> <after>`. When it is
 * armed it changes connections as fast as they are told of, and dies by its own SIGKILL at the `after`th passage of `boundary`. When it is told
 * `drain` it changes nothing any more, says `drained` once nothing waits, and `end` ends it in order. Its clock runs twenty times as fast.
 */

import { ConsentLinks } from "../../../../src/ext/alerts/consent_links.js";
import { NotificationOutbox } from "../../../../src/ext/alerts/notification_outbox.js";
import { Notifier } from "../../../../src/ext/alerts/notifier.js";
import { outboxIn } from "../../../../src/ext/alerts/outbox/notification_queue.js";
import { alertTables } from "../../../../src/ext/alerts/outbox/tables.js";
import { openReceivers } from "../../../../src/ext/alerts/receivers.js";
import { createOutboundFetch } from "../../../../src/outbound/outbound_fetch.js";
import { Changes } from "../../../../src/runtime/changes.js";
import { type Clock, SystemClock, type Timer } from "../../../../src/runtime/clock.js";
import { lockDataFolder } from "../../../../src/store/files/data_folder.js";
import { Store } from "../../../../src/store/store.js";
import type { Transaction } from "../../../../src/store/transaction.js";
import { KillPoint, say, withCommit } from "../../../crash/kill_point.js";
import { loopbackNetworks } from "../../../fakes/loopback_networks.js";
import { silentLog } from "../../../silent_log.js";
import { flipped, flipsOf, type OutboxChildBoundary } from "./outbox_boundaries.js";

const [folder = "", url = "", secretsFile = "", boundary = "", after = "0"] = process.argv.slice(2);
const speed = 20;
/** So many wait that each kill meets a crowd, and a sweep is over in a minute. */
const maxWaiting = 40;
const point = new KillPoint<OutboxChildBoundary>(boundary, Number(after));
const pass = (reached: OutboxChildBoundary): void => point.pass(reached);

class FastClock implements Clock {
  readonly #real = new SystemClock();
  readonly #startMs = Date.now();
  nowMs(): number {
    return this.#startMs + speed * (Date.now() - this.#startMs);
  }
  monotonicMs(): number {
    return speed * this.#real.monotonicMs();
  }
  setTimer(delayMs: number, callback: () => void): Timer {
    return this.#real.setTimer(delayMs / speed, callback);
  }
}

/** What a transaction writes of the outbox. */
type Kind = "told" | "link" | "put_off" | "removed";
const kinds: Readonly<Record<string, Kind>> = {
  putConnection: "told",
  putConsentLink: "link",
  putOff: "put_off",
  removeFirst: "removed",
};

type Raw = (work: never) => object;

function watched<T extends object>(target: T, seen: (kind: Kind) => void): T {
  return new Proxy(target, {
    get: (_, name) => {
      const value: unknown = Reflect.get(target, name, target);
      const kind = kinds[String(name)];
      if (kind !== undefined) seen(kind);
      if (name === "raw") return (work: never) => watched((value as Raw).call(target, work), seen);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

lockDataFolder(folder);
const real = Store.open({ folder, nowMs: Date.now(), tables: alertTables });
const commit = async <T>(change: (tx: Transaction) => T): Promise<T> => {
  let kind: Kind | undefined;
  const result = await real.commit((tx) => {
    const written = change(
      watched(tx, (seen) => {
        kind = seen;
      }),
    );
    if (kind !== undefined) pass(`before_${kind}`);
    return written;
  });
  // The callback ran: what the compiler takes for its first value may be another.
  const done = kind as Kind | undefined;
  if (done !== undefined) pass(`after_${done}`);
  return result;
};
const store = withCommit(real, commit);

const clock = new FastClock();
const changes = new Changes();
real.onCommitted((changed) => changes.emit("connections", changed));
const receivers = openReceivers({
  specs: [{ name: "ops", target: { kind: "webhook", url, secretsFile }, types: [] }],
  file: undefined,
  outbound: createOutboundFetch({ networks: loopbackNetworks }),
  environment: process.env,
  clock: new SystemClock(),
}).map((receiver) => ({
  ...receiver,
  send: async (...given: Parameters<typeof receiver.send>) => {
    pass("before_send");
    const delivery = await receiver.send(...given);
    pass("after_answer");
    if (delivery.kind === "failed" && delivery.reason === "timeout") say("timeout");
    return delivery;
  },
}));
const parts = { store, changes, clock, log: silentLog, random: Math.random, receivers: () => receivers };
const outbox = new NotificationOutbox({ ...parts, expiryLeadMs: 0 });
real.observe(outbox);
// The links of this sweep are made, and nobody follows them.
const requests = { request: () => Promise.reject(new Error("nobody asks")), pendingLink: () => undefined };
const links = new ConsentLinks({ ...parts, requests, publicUrl: "https://agent.example" });
const notifier = new Notifier({ ...parts, outbox, links, onOutcome: () => undefined });

let order: "work" | "drain" | "end" = "work";
process.stdin.on("data", (line) => {
  const word = String(line).trim();
  if (word === "arm") point.isArmed = true;
  if (word === "drain" || word === "end") order = word;
});
notifier.start();
say("ready");
const ids = real.listConnections({ limit: 100 }).map(({ id }) => id);
const orderNow = (): typeof order => order;
let hasDrained = false;
while (orderNow() !== "end") {
  await new Promise((resolve) => setTimeout(resolve, 2));
  const { count } = outboxIn(real);
  if (orderNow() === "drain" && count === 0 && !hasDrained) {
    hasDrained = true;
    say("drained");
  }
  const id = ids[Math.floor(Math.random() * ids.length)] ?? "";
  if (!point.isArmed || orderNow() !== "work" || count >= maxWaiting) continue;
  void commit((tx) => {
    const connection = tx.getConnection(id);
    if (connection) tx.putConnection(flipped(connection, flipsOf(connection) + 1, clock.nowMs()));
  });
}
await notifier.stop();
await real.close();
process.exit(0);
