import { expect, it } from "vitest";
import { formatStatus } from "../../../src/cli/shell/text.js";
import { states } from "../../../src/ext/console/kit/words.js";
import { connectionStatuses } from "../../../src/model/connections/connection.js";

it("pages and commands have one word for each state of a connection", () => {
  expect(states.map(([word]) => word).toSorted()).toEqual([...connectionStatuses].toSorted());
  for (const [word, status, text] of states)
    expect([text.toLowerCase(), formatStatus(status)]).toEqual([word, word]);
});
