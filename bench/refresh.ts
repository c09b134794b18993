/**
 * `npm run bench:refresh -- --rate [--places N]`: refreshes in a second at a provider that answers in 150 ms, with so many at a time (64).
 *
 * `npm run bench:refresh -- [--connections N] [--json]`: a storm, and exit code 1 where it took too long, a grant was redeemed twice, a provider
 * had more requests at once than it may, or the daemon is not ready behind it.
 */
import { parseArgs } from "node:util";
import { percentile } from "./figure.js";
import { refreshRate } from "./refresh_rate.js";
import { patienceMs, storm } from "./storm.js";

/** Requests at one provider at a time, at most. */
const mostInFlight = 16;

const { values } = parseArgs({
  options: {
    connections: { type: "string", default: "10000" },
    json: { type: "boolean", default: false },
    rate: { type: "boolean", default: false },
    places: { type: "string", default: "64" },
  },
});
const connections = Number(values.connections);
if (values.rate) {
  const { perSecond, cpuMs } = await refreshRate(connections, Number(values.places));
  const rate = { connections, perSecond: Math.round(perSecond), cpuMs: Number(cpuMs.toFixed(2)) };
  console.log(values.json ? JSON.stringify(rate) : rate);
  process.exit(0);
}
const { idleMs, stormMs, readyz, ...seen } = await storm(connections);
const both = (share: number): [number, number] => [percentile(idleMs, share), percentile(stormMs, share)];
const [[idle50, storm50], [idle99, storm99]] = [both(0.5), both(0.99)];
const result = {
  connections,
  ...seen,
  readyz,
  idleMs: { p50: idle50, p99: idle99 },
  stormMs: { p50: storm50, p99: storm99 },
  ratio: { p50: storm50 / idle50, p99: storm99 / idle99 },
};
console.log(values.json ? JSON.stringify(result) : result);
const isCapped = Object.values(seen.maxInFlight).every((most) => most <= mostInFlight);
const isGood = seen.duplicates === 0 && isCapped && readyz === 200 && seen.drainMs < patienceMs;
process.exit(isGood ? 0 : 1);
