import { expect, test } from "vitest";
import { BoundedMap } from "../../src/runtime/bounded_map.js";

test("the entry used longest ago makes room, and is answered", () => {
  const map = new BoundedMap<string, number>(2);
  expect(map.set("one", 1)).toBeUndefined();
  expect(map.set("two", 2)).toBeUndefined();
  expect(map.get("one")).toBe(1);
  expect(map.set("three", 3)).toBe(2);
  expect(map.size).toBe(2);
  expect(map.get("two")).toBeUndefined();
  expect(map.get("one")).toBe(1);
});

test("a value that is set again makes no room", () => {
  const map = new BoundedMap<string, number>(2);
  map.set("one", 1);
  map.set("two", 2);
  expect(map.set("one", 3)).toBeUndefined();
  expect([...map.values()].sort()).toEqual([2, 3]);
});

test("what was deleted or cleared is gone", () => {
  const map = new BoundedMap<string, number>(2);
  map.set("one", 1);
  map.delete("one");
  expect(map.get("one")).toBeUndefined();
  map.set("two", 2);
  map.clear();
  expect(map.size).toBe(0);
});
