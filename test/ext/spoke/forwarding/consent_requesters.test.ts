import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ConsentRequesters } from "../../../../src/ext/spoke/forwarding/consent_requesters.js";
import {
  ConfirmConnectionRequestSchema,
  ConnectionServiceRequestConnectionResponseSchema,
  GetConnectionRequestSchema,
} from "../../../../src/gen/nexus/v1/connection_pb.js";
import { AcquireTokenResponseSchema } from "../../../../src/gen/nexus/v1/token_pb.js";
import type { Principal } from "../../../../src/model/access/principal.js";
import { newId } from "../../../../src/model/ids.js";

const [ada, bob]: Principal[] = ["key:ada", "key:bob"].map((name) => ({ name, kind: "key" })) as Principal[];
const connectionId = newId();
const complete = "https://op.test/device?code=AB";
const confirm = create(ConfirmConnectionRequestSchema, { connectionId });

const requested = (userCode: string) =>
  create(ConnectionServiceRequestConnectionResponseSchema, { connectionId, userCode });

/** What a caller sees of a device authorization. */
function acquired(askers: ConsentRequesters, caller: Principal, userCode: string): string {
  const value = { connectionId, userCode, verificationUriComplete: complete };
  const answer = create(AcquireTokenResponseSchema, { result: { case: "consent", value } });
  askers.answered(answer, caller);
  return answer.result.case === "consent" ? answer.result.value.verificationUriComplete : "";
}

describe("callers of a spoke that ask for consents", () => {
  it("confirm their own only", () => {
    const askers = new ConsentRequesters();
    expect(() => askers.judge(confirm, bob as Principal)).not.toThrow();
    askers.answered(requested("AB"), ada as Principal);
    expect(() => askers.judge(confirm, ada as Principal)).not.toThrow();
    expect(() => askers.judge(confirm, bob as Principal)).toThrow(
      /no consent .* waits for your confirmation/,
    );
    const other = create(ConfirmConnectionRequestSchema, { connectionId: newId() });
    expect(() => askers.judge(other, bob as Principal)).not.toThrow();
    const get = create(GetConnectionRequestSchema, { connectionId });
    expect(() => askers.judge(get, bob as Principal)).not.toThrow();
    // Another request for the same connection takes the place of the first.
    askers.answered(requested("CD"), bob as Principal);
    expect(() => askers.judge(confirm, bob as Principal)).not.toThrow();
    expect(() => askers.judge(confirm, ada as Principal)).toThrow();
  });

  it("are led straight to their own only", () => {
    const askers = new ConsentRequesters();
    askers.answered(requested("AB"), ada as Principal);
    expect(acquired(askers, bob as Principal, "AB")).toBe("");
    expect(acquired(askers, ada as Principal, "AB")).toBe(complete);
    expect(acquired(askers, bob as Principal, "CD")).toBe(complete);
    expect(acquired(askers, ada as Principal, "CD")).toBe("");
  });
});
