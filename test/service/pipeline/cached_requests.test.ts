import { create, toBinary } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { TokenServiceGetTokenRequestSchema } from "../../../src/gen/nexus/v1/token_pb.js";
import { CachedRequests } from "../../../src/service/pipeline/cached_requests.js";

const bytesOf = (connectionId: string): Buffer =>
  Buffer.from(
    toBinary(TokenServiceGetTokenRequestSchema, create(TokenServiceGetTokenRequestSchema, { connectionId })),
  );

test("the same bytes are the same request, and it is judged once", () => {
  const known = new CachedRequests(TokenServiceGetTokenRequestSchema);
  const request = known.decode(bytesOf("a"));
  expect(request).toEqual(create(TokenServiceGetTokenRequestSchema, { connectionId: "a" }));
  expect(known.decode(bytesOf("a"))).toBe(request);
  expect(known.isValid(request)).toBe(false);
  known.passed(request);
  expect(known.isValid(known.decode(bytesOf("a")))).toBe(true);
  expect(known.isValid(known.decode(bytesOf("b")))).toBe(false);
});

test("a long request is decoded anew", () => {
  const known = new CachedRequests(TokenServiceGetTokenRequestSchema);
  const bytes = bytesOf("x".repeat(200));
  expect(known.decode(bytes)).not.toBe(known.decode(bytes));
});

test("what is no message throws each time", () => {
  const known = new CachedRequests(TokenServiceGetTokenRequestSchema);
  const bytes = Buffer.from([0x0a, 0x24, 1]);
  expect(() => known.decode(bytes)).toThrow();
  expect(() => known.decode(bytes)).toThrow();
});
