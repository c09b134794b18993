import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { countedByLine } from "../../../../src/ext/console/rules/matches.js";
import { AuditEventSchema } from "../../../../src/gen/nexus/v1/audit_pb.js";

const digest = "9f86d081884c".padEnd(64, "0");
const event = (
  eventType: string,
  more: { rule?: string; shadow?: string; reason?: string; count?: bigint },
  atMs = 1_000,
) => create(AuditEventSchema, { eventType, time: timestampFromMs(atMs), ...more });

describe("how often a rule decided", () => {
  const rule = "line 3 of 9f86d081884c";
  const of = (...events: readonly ReturnType<typeof event>[]) =>
    Object.fromEntries(countedByLine(events, digest));

  it("is the number of requests, and the last of them", () => {
    const counted = of(
      event("token_retrieved", { rule }, 5_000),
      event("token_reads_counted", { rule, count: 7n }, 9_000),
      event("token_retrieval_failed", { rule, reason: "permission_denied" }, 2_000),
    );
    expect(counted).toEqual({ 3: { count: 9, lastMs: 9_000 } });
  });

  it("has each request once, whatever else is on record of it", () => {
    const counted = of(
      event("token_retrieval_failed", { rule, reason: "show_body" }),
      event("approval.given", { rule }),
      event("token_retrieved", { rule }),
      event("egress_used", { rule, count: 4n }),
      event("token_retrieval_failed", { rule, reason: "use_egress" }),
    );
    expect(counted).toEqual({ 3: { count: 1, lastMs: 1_000 } });
  });

  it("counts for a rule in shadow what it would have denied, beside the one that decided", () => {
    const shadow = "line 8 of 9f86d081884c";
    expect(
      of(event("token_retrieved", { rule, shadow }), event("token_retrieved", { shadow })),
    ).toMatchObject({
      3: { count: 1 },
      8: { count: 2 },
    });
  });

  it.each(["line 3 of 0123456789ab", "no line of 9f86d081884c", "restriction", "", "line 3 of 9f86"])(
    "leaves out what is no rule of this file: %j",
    (other) => {
      expect(of(event("token_retrieved", { rule: other }))).toEqual({});
    },
  );
});
