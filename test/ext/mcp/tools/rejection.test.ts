import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { Redaction } from "../../../../src/ext/mcp/tools/redaction.js";
import { reportRejection } from "../../../../src/ext/mcp/tools/rejection.js";
import { TokenSchema } from "../../../../src/gen/nexus/v1/token_pb.js";

it("tells the daemon no credential that an API repeats in its challenge, since the link for a person would show it", async () => {
  const reported: unknown[] = [];
  const reportRejectedToken = async (request: unknown) => ({ length: reported.push(request) });
  const session = {
    daemon: { tokens: { reportRejectedToken } },
    call: (_: string, method: (request: unknown) => unknown, request: unknown) => method(request),
  };
  const headers = { "www-authenticate": 'Bearer error="insufficient_scope", scope="SECRET%2Ds repo"' };
  const answer = { status: 403, headers, head: "", async *body() {}, dismiss: () => undefined };
  const account = { providerName: "op", userId: "ada", label: "" };
  const token = create(TokenSchema);
  await reportRejection(session as never, account, token, answer, new Redaction(["SECRET-s"]));
  expect(reported).toMatchObject([
    { wwwAuthenticate: 'Bearer error="insufficient_scope", scope="[redacted] repo"' },
  ]);
});
