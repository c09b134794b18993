import { expect, it } from "vitest";
import { FairMap } from "../../../../src/ext/egress/listener/fair_map.js";

it("takes the place of the owner's own entry that was used longest ago", () => {
  const map = new FairMap<string, number>({ ofOne: 2, ofAll: 9 });
  map.set("a", "x", 1);
  map.set("a", "y", 2);
  map.set("b", "x", 3);
  expect(map.get("a", "x")).toBe(1);
  expect(map.set("a", "z", 4)).toBe(2);
  expect([map.get("a", "x"), map.get("a", "y"), map.get("b", "x"), map.size]).toEqual([1, undefined, 3, 3]);
});

it("takes the place of the owner that has the most, where all is taken", () => {
  const map = new FairMap<string, number>({ ofOne: 3, ofAll: 4 });
  for (const key of ["x", "y", "z"]) map.set("greedy", key, 1);
  map.set("a", "x", 2);
  expect(map.set("b", "x", 3)).toBe(1);
  expect(map.set("b", "y", 4)).toBe(1);
  // Nobody has more than b: it takes its own.
  expect(map.set("b", "z", 5)).toBe(3);
  expect([...map.values()].sort()).toEqual([1, 2, 4, 5]);
});

it("keeps an entry that is set again, and forgets what is deleted", () => {
  const map = new FairMap<string, number>({ ofOne: 1, ofAll: 1 });
  map.set("a", "x", 1);
  expect([map.set("a", "x", 2), map.get("a", "x"), map.size]).toEqual([undefined, 2, 1]);
  map.delete("a", "x");
  map.delete("a", "x");
  expect([map.size, map.set("b", "x", 3)]).toEqual([0, undefined]);
});
