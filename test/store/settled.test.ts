import { describe, expect, test } from "vitest";
import { startChild } from "./child.js";
import { replicaFolder } from "./fleet.js";

describe("a process that ends when its replica is settled comes to an end", () => {
  test.each(["record", "drop", "apply"])(
    "in the middle of %s",
    async (what) => {
      const child = startChild("end_while_writing", [await replicaFolder(), what]);
      expect(await child.nextLine()).toBe(what);
      const isDone = await child.nextLine();
      expect({ code: await child.ended(), isDone }).toEqual({ code: 75, isDone: "true" });
    },
    6_000,
  );
});
