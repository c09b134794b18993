import { afterAll, beforeEach, expect } from "vitest";
import { beside, clientsOf } from "../../../daemon/harness.js";
import { freePort } from "../../../free_port.js";
import { LeaderBeside } from "./leader_beside.js";
import { leftOutTests } from "./left_out.js";

beside.make = (place) => LeaderBeside.make(place, { freePort, clientsOf });

let ran = 0;

beforeEach((context) => {
  const reason = leftOutTests[context.task.name];
  context.skip(reason !== undefined, reason);
  ran++;
});

afterAll(() => {
  if (ran > 0) expect(LeaderBeside.count, "daemons of this file that followed").toBeGreaterThan(0);
});
