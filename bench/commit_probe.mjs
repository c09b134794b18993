/**
 * Loaded into the daemon by `NODE_OPTIONS=--import`: when each commit was durable (CLOCK_MONOTONIC, ns), a line each in the file that
 * NEXUS_BENCH_COMMITS names, with the number of connections that it changed. Written later, so that nothing waits for it.
 */
import { subscribe } from "node:diagnostics_channel";
import { appendFileSync } from "node:fs";

const file = process.env["NEXUS_BENCH_COMMITS"];
let lines = "";

if (file !== undefined) {
  subscribe("nexus.store.committed", ({ changes }) => {
    if (lines === "") setTimeout(write, 50);
    lines += `${changes} ${process.hrtime.bigint()}\n`;
  });
}

function write() {
  appendFileSync(file, lines);
  lines = "";
}
