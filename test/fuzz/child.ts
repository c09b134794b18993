/** One target, told by its parent: draws cases until the time is over, and says on standard output what came of them. */
import { closeSync, openSync, writeSync } from "node:fs";
import { Random } from "../suites/random.js";
import type { Target } from "./target.js";
import { targets } from "./targets.js";

/** What the parent says, as the only argument. */
export interface Order {
  readonly target: string;
  readonly seed: number;
  readonly seconds: number;
  /** One case alone, by its number; those of the corpus are below 0. */
  readonly only?: number | undefined;
  /** Where the number of the present case is written: a hang is found by it. */
  readonly progressFile: string;
}

export interface Outcome {
  readonly cases: number;
  readonly tally: Readonly<Record<string, number>>;
  readonly violation?: { readonly case: number; readonly what: string; readonly input: string };
}

const order = JSON.parse(process.argv[2] ?? "") as Order;
const target = await targets[order.target]?.();
if (!target) throw new Error(`no target ${order.target}`);
const progress = openSync(order.progressFile, "w");
let cases = 0;
const outcome = await run(target);
await target.finish?.();
// lmdb's writer may be at work, and an exit would wait for it for ever.
await target.close?.();
closeSync(progress);
await new Promise((resolve) => process.stdout.write(`${JSON.stringify(outcome)}\n`, resolve));
process.exit(0);

async function run(target: Target<unknown>): Promise<Outcome> {
  const violation = await firstViolation(target);
  return { cases, tally: Object.fromEntries(target.tally), ...(violation ? { violation } : {}) };
}

async function firstViolation(target: Target<unknown>): Promise<Outcome["violation"]> {
  const inputOf = (index: number): unknown =>
    index < 0 ? target.corpus[-index - 1] : target.draw(new Random(order.seed, index));
  const judge = async (index: number) => {
    writeSync(progress, Buffer.from(index.toString().padStart(12)), 0, 12, 0);
    cases++;
    const input = inputOf(index);
    const what = await violationOf(target, input);
    return what === undefined
      ? undefined
      : { case: index, what, input: shown(target, await smallest(target, input)) };
  };
  if (order.only !== undefined) return await judge(order.only);
  for (let index = -target.corpus.length; index < 0; index++) {
    const violation = await judge(index);
    if (violation) return violation;
  }
  const endMs = performance.now() + order.seconds * 1000;
  for (let index = 0; performance.now() < endMs; index++) {
    const violation = await judge(index);
    if (violation) return violation;
  }
  const judgedTogether = await violationOfAll(target);
  return judgedTogether === undefined
    ? undefined
    : { case: cases, what: judgedTogether, input: "all together" };
}

async function violationOf(target: Target<unknown>, input: unknown): Promise<string | undefined> {
  try {
    await target.judge(input);
    return undefined;
  } catch (error) {
    return error instanceof Error ? (error.stack ?? error.message) : String(error);
  }
}

async function violationOfAll(target: Target<unknown>): Promise<string | undefined> {
  try {
    await target.finish?.();
    return undefined;
  } catch (error) {
    return String(error);
  }
}

/** The first smaller input that violates too, and so on from there. */
async function smallest(target: Target<unknown>, input: unknown): Promise<unknown> {
  const endMs = performance.now() + 2_000;
  let best = input;
  for (let found = true; found && performance.now() < endMs; ) {
    found = false;
    for (const smaller of target.shrink?.(best) ?? []) {
      if (performance.now() > endMs || (await violationOf(target, smaller)) === undefined) continue;
      best = smaller;
      found = true;
      break;
    }
  }
  return best;
}

function shown(target: Target<unknown>, input: unknown): string {
  return target.show(input).slice(0, 4_000);
}
