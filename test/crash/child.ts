/**
 * A daemon's domain in a process of its own, to be killed: `child <folder> <life> <boundary> <after>`. It fixes what the last
 * life left, says `settled`, and from then on dies by its own SIGKILL at the `after`th passage of `boundary`. One that is to be paused
 * (`pause`) has a short time-out instead, and ends in order when it is told `end`. The store of another (`fail`) fails at its `after`th
 * token set, and it ends as a daemon does then. What callers were shown is printed before it is anything else.
 */

import { owner } from "../../src/model/access/principal.js";
import { createOutboundFetch, type OutboundFetch } from "../../src/outbound/outbound_fetch.js";
import { SystemClock } from "../../src/runtime/clock.js";
import { lockDataFolder } from "../../src/store/files/data_folder.js";
import { SpoolFile } from "../../src/store/files/spool_file.js";
import { StoreFailed } from "../../src/store/lmdb/store_error.js";
import { Store } from "../../src/store/store.js";
import type { Transaction } from "../../src/store/transaction.js";
import { lifeHeader } from "../fakes/hostile_listener.js";
import { loopbackNetworks } from "../fakes/loopback_networks.js";
import { WiredDomain } from "../fakes/wired_domain.js";
import { type ChildBoundary, pausedTimeoutMs } from "./boundaries.js";
import { KillPoint, say, withCommit } from "./kill_point.js";

const [folder = "", life = "", boundary = "", after = "0"] = process.argv.slice(2);
const point = new KillPoint<ChildBoundary>(boundary, Number(after));
const pass = (reached: ChildBoundary): void => point.pass(reached);

/** What a transaction is about: the journal entry of a refresh, or its outcome. */
type Kind = "intent" | "outcome" | "other";

function watched(tx: Transaction, seen: (kind: Kind) => void): Transaction {
  return new Proxy(tx, {
    get: (target, name) => {
      if (name === "putUnannounced") seen("intent");
      if (name === "putCredential") seen("outcome");
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

lockDataFolder(folder);
const real = Store.open({ folder, nowMs: Date.now() });
let outcomesLeft = boundary === "fail" ? Number(after) : Number.POSITIVE_INFINITY;
let failed: StoreFailed | undefined;
const commit = async <T>(change: (tx: Transaction) => T): Promise<T> => {
  let kind: Kind = "other";
  if (failed) throw failed;
  const result = await real.commit((tx) => {
    const written = change(
      watched(tx, (seen) => {
        kind = seen;
      }),
    );
    if (kind === "intent") pass("before_intent");
    if (kind === "outcome") {
      pass("before_commit");
      if (point.isArmed && outcomesLeft-- === 0) fail();
    }
    return written;
  });
  // The callback ran: what the compiler takes for its first value may be another.
  const done = kind as Kind;
  if (done === "intent") pass("after_intent");
  if (done === "outcome") pass("after_commit");
  return result;
};
const store = withCommit(real, commit);

const fetch = createOutboundFetch({
  networks: loopbackNetworks,
  ...(boundary === "pause" ? { timeoutMs: pausedTimeoutMs, tokenTimeoutMs: pausedTimeoutMs } : {}),
});
const outbound: OutboundFetch = async (url, request) => {
  const headers = { ...request.headers, [lifeHeader]: life };
  const beforeSend = async (): Promise<boolean> => {
    pass("connected");
    const mayBeSent = (await request.beforeSend?.()) ?? true;
    pass("before_send");
    return mayBeSent;
  };
  pass("connecting");
  const response = await fetch(url, { ...request, headers, beforeSend });
  pass("after_answer");
  return response;
};

const clock = new SystemClock();
const spoolFile = SpoolFile.open(folder);
const options = { store, clock, random: Math.random, outbound, spoolFile, maxRejectionsPerHour: 3_600 };
const domain = new WiredDomain(options);
const { engine, tokens } = domain;
real.onCommitted((changes) => {
  pass("before_publish");
  domain.changes.emit("connections", changes);
});
const all = () => real.listConnections({ limit: 1000 });

/** The store takes nothing any more, and the process ends with what is still answered in its spool file. */
function fail(): never {
  failed = new StoreFailed("the disk is full");
  domain.spool.save();
  void engine
    .stop()
    .then(() => real.settled())
    .then(() => process.exit(0));
  throw failed;
}

/** A caller: takes what it is given, and says so at once. */
async function call(id: string): Promise<void> {
  try {
    const token = await (Math.random() < 0.3
      ? tokens.refreshToken(id, owner)
      : tokens.getToken(id, 0, owner));
    say(`shown ${id} ${token.revision}`);
  } catch {
    // Refused for now, or for good: the parent looks at the connection.
  }
}

async function settle(): Promise<void> {
  await Promise.all(all().map(({ id, refreshIntent }) => refreshIntent && engine.refresher.refresh(id)));
  for (const { id, status, problem } of all()) say(`state ${id} ${status} ${problem?.reason ?? ""}`);
}

await settle();
engine.start();
for (const { id, status, providerName } of all()) {
  if (status === "attention" && providerName !== "robots") await domain.consentOf(providerName, id);
}
say("settled");
let isEnding = false;
process.stdin.on("data", (line) => {
  if (String(line) === "end\n") isEnding = true;
  else point.isArmed = true;
});
while (!isEnding) {
  await new Promise((resolve) => setTimeout(resolve, 5));
  const connections = all();
  const chosen = connections[Math.floor(Math.random() * connections.length)];
  if (chosen) void call(chosen.id);
}
await engine.stop();
await real.close();
process.exit(0);
