/**
 * Loaded into the daemon by `NODE_OPTIONS=--import`. Appends lines to the file that NEXUS_BENCH_PROBE names: `delay P99 MAX` for each second
 * of the event loop, in ms, and `commit NS` for each commit that changed a connection, when it was durable (CLOCK_MONOTONIC).
 */
import { subscribe } from "node:diagnostics_channel";
import { appendFileSync } from "node:fs";
import { monitorEventLoopDelay } from "node:perf_hooks";

const file = process.env["NEXUS_BENCH_PROBE"];
const resolution = 1;

if (file !== undefined) {
  const delay = monitorEventLoopDelay({ resolution });
  const ms = (ns) => (ns / 1e6 - resolution).toFixed(2);
  delay.enable();
  setInterval(() => {
    appendFileSync(file, `delay ${ms(delay.percentile(99))} ${ms(delay.max)}\n`);
    delay.reset();
  }, 1_000).unref();
  subscribe("nexus.store.committed", ({ changes }) => {
    if (changes === 0) return;
    const line = `commit ${process.hrtime.bigint()}\n`;
    setImmediate(() => appendFileSync(file, line));
  });
}
