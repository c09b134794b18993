import { beforeEach } from "vitest";
import { leftOutTests } from "./left_out.js";

beforeEach((context) => {
  const reason = leftOutTests[context.task.name];
  context.skip(reason !== undefined, reason);
});
