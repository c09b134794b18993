import { describe, expect, it } from "vitest";
import { type Answer, answerOf, answers, failureOf, outcomeOf } from "../../../src/domain/grants/outcomes.js";
import { DataLoss } from "../../../src/model/errors.js";
import { GrantFailure, type GrantFailureFields } from "../../../src/oauth/failure.js";
import { IdentityRequired } from "../../../src/oauth/grants/identity_required.js";

describe("the table of refresh outcomes", () => {
  const answered = answers.slice(answers.indexOf("withdrawn"), answers.indexOf("usable"));

  it("sends a token that is in doubt again only where its answer says that it was not looked at", () => {
    const again = answered.filter((answer) => outcomeOf("in_doubt", answer) !== "outcome_unknown");
    expect(again).toEqual(["bad_client", "not_processed"]);
  });

  it("blames no user for a restored token that the original may have used", () => {
    const ends = answered.filter((answer) => outcomeOf("restored", answer) !== outcomeOf("unused", answer));
    expect(ends).toEqual(["invalid_grant", "identity_required", "refused"]);
    for (const answer of ends) expect(outcomeOf("restored", answer)).toBe("outcome_unknown");
  });

  it("needs a user for what is minted only where an identity provider asks for one", () => {
    const endings = answers.filter(
      (answer) => !/retry|refuse_client|suspend|wait|store/.test(outcomeOf("minted", answer)),
    );
    expect(endings).toEqual(["identity_required"]);
  });
});

it.each<[Answer, GrantFailureFields]>([
  ["invalid_grant", { kind: "invalid_grant", httpStatus: 400, oauthError: "invalid_grant" }],
  ["withdrawn", { kind: "invalid_grant", httpStatus: 400, consentRevoked: true }],
  ["profile_unusable", { kind: "client", refusal: "no address" }],
  ["bad_client", { kind: "client", httpStatus: 401, oauthError: "invalid_client" }],
  ["bad_client", { kind: "client", httpStatus: 400, oauthError: "invalid_dpop_proof" }],
  ["bad_request", { kind: "client", httpStatus: 400, oauthError: "unauthorized_client" }],
  ["refused", { kind: "transient", httpStatus: 403, isRefusal: true }],
  ["not_processed", { kind: "transient", isRefusal: true }],
  ["later", { kind: "transient", httpStatus: 400, oauthError: "temporarily_unavailable" }],
  ["not_processed", { kind: "transient", httpStatus: 429 }],
  ["not_processed", { kind: "transient", httpStatus: 500 }],
  ["not_processed", { kind: "transient" }],
  ["lost", { kind: "ambiguous", httpStatus: 504 }],
  ["unusable", { kind: "rejected", reason: "malformed_response" }],
])("takes for %s: %o", (answer, fields) => {
  expect(answerOf(new GrantFailure(fields))).toBe(answer);
});

it("takes a client secret that cannot be opened for an error of the profile, and hides no error of its own", () => {
  expect(answerOf(failureOf(new DataLoss("sealed client_secret cannot be opened")))).toBe("profile_unusable");
  const failure = new GrantFailure({ kind: "ambiguous" });
  expect(failureOf(failure)).toBe(failure);
  expect(() => failureOf(new TypeError("a flaw"))).toThrow(TypeError);
});

it("tells a sign-in at the identity provider from a grant that is over", () => {
  expect(answerOf(new IdentityRequired("connect corp again"))).toBe("identity_required");
});
