import { expect, it } from "vitest";
import { Redaction } from "../../../../src/ext/mcp/tools/redaction.js";
import { responseOf } from "../../../../src/ext/mcp/tools/rejection.js";

it("tells the daemon no credential that an API repeats in its challenge, since the link for a person would show it", () => {
  const headers = { "www-authenticate": 'Bearer error="insufficient_scope", scope="SECRET%2Ds repo"' };
  const answer = { status: 403, headers, head: "", async *body() {}, dismiss: () => undefined };
  expect(responseOf(answer, new Redaction(["SECRET-s"]))).toEqual({
    status: 403,
    wwwAuthenticate: 'Bearer error="insufficient_scope", scope="[redacted] repo"',
    dpopNonce: "",
  });
});
