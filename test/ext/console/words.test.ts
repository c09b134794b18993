import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { formatStatus } from "../../../src/cli/shell/text.js";
import { decisionOf, states } from "../../../src/ext/console/kit/words.js";
import { AuditEventSchema } from "../../../src/gen/nexus/v1/audit_pb.js";
import { connectionStatuses } from "../../../src/model/connections/connection.js";

it("pages and commands have one word for each state of a connection", () => {
  expect(states.map(([word]) => word).toSorted()).toEqual([...connectionStatuses].toSorted());
  for (const [word, status, text] of states)
    expect([text.toLowerCase(), formatStatus(status)]).toEqual([word, word]);
});

const ofLine = `(line 3, sha256:${"17d4".repeat(16)})`;

it.each([
  [
    `key:claude: GET api.example/a ${ofLine}`,
    { request: "GET api.example/a", extent: "", share: "", reason: "" },
  ],
  [
    `key:claude: GET api.example/a ${ofLine.replace(",", ", 1 of 2,")}`,
    { request: "GET api.example/a", extent: "", share: "1 of 2", reason: "" },
  ],
  [
    `cert:CN=a b for an hour: GET api.example/ ${ofLine}`,
    { request: "GET api.example/", extent: "for an hour", share: "", reason: "" },
  ],
  [
    `key:claude: PUT api.example/x ${ofLine}: see PUT api.example/y ${ofLine}: no`,
    { request: "PUT api.example/x", extent: "", share: "", reason: `see PUT api.example/y ${ofLine}: no` },
  ],
  ["in other words", undefined],
])("reads of %s what was decided", (reason, decided) => {
  const event = create(AuditEventSchema, { eventType: "approval.refused", reason });
  expect(decisionOf(event)).toEqual(decided);
  expect(decisionOf({ ...event, eventType: "access.denied" })).toBeUndefined();
});
