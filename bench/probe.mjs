/**
 * Loaded into the daemon by `NODE_OPTIONS=--import`. Appends lines to the file that NEXUS_BENCH_PROBE names: `delay P99 MAX` for each second
 * of the event loop, in ms, and `commit NS` for each commit that changed a connection, when it was durable (CLOCK_MONOTONIC).
 */
import { subscribe } from "node:diagnostics_channel";
import { appendFileSync, openSync, readSync } from "node:fs";

const file = process.env["NEXUS_BENCH_PROBE"];
const stepMs = 1;

if (file !== undefined) {
  setInterval(measureDelays(), stepMs).unref();
  subscribe("nexus.store.committed", ({ changes }) => {
    if (changes === 0) return;
    const line = `commit ${process.hrtime.bigint()}\n`;
    setImmediate(() => appendFileSync(file, line));
  });
}

/** How long the thread computed between two runs of a timer that is due in each turn of the loop. */
function measureDelays() {
  const schedstat = openSync(`/proc/self/task/${process.pid}/schedstat`, "r");
  const text = Buffer.alloc(64);
  const ranMs = () => {
    const length = readSync(schedstat, text, 0, text.length, 0);
    return Number(text.toString("latin1", 0, length).split(" ")[0]) / 1e6;
  };
  let delays = [];
  let [beforeMs, sinceMs] = [ranMs(), performance.now()];
  return () => {
    const nowMs = ranMs();
    delays.push(nowMs - beforeMs);
    beforeMs = nowMs;
    if (performance.now() - sinceMs < 1_000) return;
    delays.sort((a, b) => a - b);
    const p99 = delays[Math.floor(delays.length * 0.99)];
    appendFileSync(file, `delay ${p99.toFixed(2)} ${delays.at(-1).toFixed(2)}\n`);
    delays = [];
    sinceMs = performance.now();
  };
}
