import { expect, it } from "vitest";
import fc from "../property.js";
import { type WatchStep, WatchWorld } from "./watch_model.js";

const at = fc.nat(3);
const ids = (least: number) => fc.uniqueArray(fc.nat(5), { minLength: least, maxLength: 6 });
const only = <D extends string>(...names: D[]) => fc.constantFrom(...names);

const anyStep: fc.Arbitrary<WatchStep> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: only("change"), ids: ids(1) }) },
  { weight: 1, arbitrary: fc.record({ do: only("delete"), ids: ids(1) }) },
  { weight: 4, arbitrary: fc.record({ do: only("open"), at, ids: ids(0), user: fc.nat(4) }) },
  { weight: 4, arbitrary: fc.record({ do: only("leave", "choke", "read", "read"), at }) },
  { weight: 1, arbitrary: fc.record({ do: only("policy"), hidden: ids(0) }) },
  { weight: 3, arbitrary: fc.record({ do: only("wait"), byMs: fc.constantFrom(1_000, 6_000) }) },
  { weight: 1, arbitrary: fc.record({ do: only("failed commit") }) },
  { weight: 8, arbitrary: fc.record({ do: only("turn", "microtask") }) },
);

it("holds the streams to what a client may rely on, whatever happens in whatever order", async () => {
  const script = fc.array(anyStep, { minLength: 10, maxLength: 60, size: "max" });
  const property = fc.asyncProperty(script, (steps) => new WatchWorld().run(steps));
  const { failed, counterexample, errorInstance } = await fc.check(property, { numRuns: 50 });
  expect(failed ? [errorInstance, counterexample] : []).toEqual([]);
}, 60_000);
