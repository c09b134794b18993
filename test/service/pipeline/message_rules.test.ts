import { create, fromBinary, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ListAuditEventsRequestSchema } from "../../../src/gen/nexus/v1/audit_pb.js";
import { CreateProviderRequestSchema } from "../../../src/gen/nexus/v1/provider_pb.js";
import { TokenServiceGetTokenRequestSchema } from "../../../src/gen/nexus/v1/token_pb.js";
import { malformedFields, maxStructDepth } from "../../../src/service/pipeline/message_rules.js";

type Provider = NonNullable<Parameters<typeof create<typeof CreateProviderRequestSchema>>[1]>["provider"];

function violationsOf(provider: Provider): string[] {
  return malformedFields(
    CreateProviderRequestSchema,
    create(CreateProviderRequestSchema, { provider: provider as object }),
  ).map(({ field, description }) => `${field} ${description}`);
}

const tower = (depth: number): JsonObject => (depth === 1 ? {} : { a: tower(depth - 1) });

describe("malformedFields", () => {
  it("lets what is sound pass", () => {
    const params = { a: [1, "x", null, true, { b: "\u{1f600}" }], constructor: "c", prototype: {} };
    expect(
      violationsOf({ name: "a\tb\n", scopes: ["\u202e"], params, authorizationParams: { constructor: "x" } }),
    ).toEqual([]);
    expect(violationsOf({ params: tower(maxStructDepth) })).toEqual([]);
  });

  it("finds what no text may hold, wherever it stands", () => {
    expect(
      violationsOf({
        name: "a\0",
        scopes: ["ok", "\ud800"],
        authorizationParams: { "\udc00": "x", a: "\0" },
        strategy: { kind: { case: "header", value: { headerName: "\0" } } },
        params: { "a\0": { b: ["\0"] } },
      }),
    ).toEqual([
      "provider.name must not hold U+0000",
      "provider.scopes[1] must be Unicode text, without half of a surrogate pair",
      'provider.authorization_params["\\udc00"] must be Unicode text, without half of a surrogate pair',
      'provider.authorization_params["a"] must not hold U+0000',
      "provider.strategy.header.header_name must not hold U+0000",
      'provider.params["a\\u0000"] must not hold U+0000',
      'provider.params["a\\u0000"]["b"][0] must not hold U+0000',
    ]);
  });

  it("finds __proto__ as it comes from the wire", () => {
    const own = JSON.parse('{"__proto__":{"isAdmin":true}}') as JsonObject;
    const sent = create(CreateProviderRequestSchema, { provider: { params: own } });
    const received = fromBinary(CreateProviderRequestSchema, toBinary(CreateProviderRequestSchema, sent));
    expect(malformedFields(CreateProviderRequestSchema, received)).toEqual([
      { field: 'provider.params["__proto__"]', description: "has a name that is reserved" },
    ]);
    expect(({} as { isAdmin?: boolean }).isAdmin).toBeUndefined();
  });

  it("refuses numbers that JSON has not, and towers", () => {
    expect(violationsOf({ params: { a: Number.NaN, b: [Number.NEGATIVE_INFINITY] } })).toEqual([
      'provider.params["a"] must be a finite number',
      'provider.params["b"][0] must be a finite number',
    ]);
    expect(violationsOf({ params: tower(maxStructDepth + 1) })).toHaveLength(1);
  });

  it.each([
    [-62_135_596_800n, 0, true],
    [-62_135_596_801n, 0, false],
    [253_402_300_799n, 999_999_999, true],
    [253_402_300_800n, 0, false],
    [0n, -1, false],
    [0n, 1_000_000_000, false],
  ])("judges the time %s s %s ns: %s", (seconds, nanos, isSound) => {
    const request = create(ListAuditEventsRequestSchema, { since: { seconds, nanos } });
    expect(malformedFields(ListAuditEventsRequestSchema, request)).toHaveLength(isSound ? 0 : 1);
  });

  it.each([
    [315_576_000_000n, 0, true],
    [-315_576_000_000n, -1, true],
    [315_576_000_001n, 0, false],
    [1n, -1, false],
    [-1n, 1, false],
    [0n, -1_000_000_000, false],
  ])("judges the duration %s s %s ns: %s", (seconds, nanos, isSound) => {
    const request = create(TokenServiceGetTokenRequestSchema, { minTtl: { seconds, nanos } });
    expect(malformedFields(TokenServiceGetTokenRequestSchema, request)).toHaveLength(isSound ? 0 : 1);
  });
});
