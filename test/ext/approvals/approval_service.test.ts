import { describe, expect, it } from "vitest";
import type { HeldRequest } from "../../../src/domain/access/request_rules.js";
import { bodyText, escaped } from "../../../src/ext/approvals/approval_service.js";
import { digestOf } from "../../../src/ext/approvals/held_requests.js";
import fc from "../../property.js";

type Digested = Omit<HeldRequest, "rule" | "policyDigest" | "signal" | "use">;

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.constantFrom("", ",", '"', "[", "\\", "null"),
);
const optional = fc.option(text, { nil: undefined });
const parts = {
  method: optional,
  isPlain: fc.constantFrom(true as const, undefined),
  host: optional,
  target: optional,
  headers: fc.option(fc.dictionary(text, text, { maxKeys: 4 }), { nil: undefined }),
  body: fc.option(fc.record({ size: fc.nat(9), digest: text }), { nil: undefined }),
  session: optional,
  caller: text,
  connectionId: text,
};
const requests = fc.record(parts);
type Parts = typeof requests extends fc.Arbitrary<infer T> ? T : never;

function heldOf(
  { caller, connectionId, headers, body, isPlain, ...line }: Parts,
  isReversed = false,
): Digested {
  const entries = Object.entries(headers ?? {});
  const request = {
    ...line,
    ...(isPlain && { isPlain }),
    headers: headers && new Map(isReversed ? entries.reverse() : entries),
    body: body && { ...body, bytes: undefined },
  };
  const connection = { connectionId, userId: "", provider: { id: "", name: "" } };
  return { principal: { name: caller, kind: "key" }, connection, request };
}

/** Another way to tell whether two are the same. */
function same(one: Parts, other: Parts): boolean {
  const flat = ({ headers, body, ...rest }: Parts): unknown[] => [
    ...Object.entries(rest).sort(),
    headers && Object.entries(headers).sort(([a], [b]) => (a < b ? -1 : 1)),
    body && Object.entries(body).sort(),
  ];
  const replacer = (_: string, value: unknown) => (value === undefined ? { isUndefined: true } : value);
  return JSON.stringify(flat(one), replacer) === JSON.stringify(flat(other), replacer);
}

describe("the digest of a request", () => {
  it("is the same for one request, in whatever order its headers came", () => {
    fc.assert(
      fc.property(requests, (parts) => digestOf(heldOf(parts)) === digestOf(heldOf(parts, true))),
      { numRuns: 1_000 },
    );
  });

  it("is another one for another request", () => {
    fc.assert(
      fc.property(requests, requests, (one, other) =>
        same(one, other) ? true : digestOf(heldOf(one)) !== digestOf(heldOf(other)),
      ),
      { numRuns: 2_000 },
    );
  });

  it("is another one when a single part is another", () => {
    fc.assert(
      fc.property(requests, requests, fc.constantFrom(...Object.keys(parts)), (one, other, key) => {
        const changed = { ...one, [key]: other[key as keyof Parts] };
        return same(one, changed) === (digestOf(heldOf(one)) === digestOf(heldOf(changed)));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("what an approver reads", () => {
  it.each([
    ["a\u202eb\u2066", "a\\u{202e}b\\u{2066}"],
    ["\u001b[31mred", "\\u{1b}[31mred"],
    ["p\u0430ypal.com", "p\\u{430}ypal.com"],
    ["a\nb\u2028", "a\\u{a}b\\u{2028}"],
    ["\u{1f600}", "\\u{1f600}"],
    ["\ud800", "\\u{d800}"],
    ["plain ~", "plain ~"],
  ])("shows %j as %j in one line", (hostile, shown) => expect(escaped(hostile)).toBe(shown));

  it.each([
    ["caf\u00e9\n\tx", "caf\u00e9\n\tx"],
    ["a\u202eb\u200bc\u001b]0;x\u0007", "a\\u{202e}b\\u{200b}c\\u{1b}]0;x\\u{7}"],
    ["\ufeffa", "\\u{feff}a"],
    ["a\r\nb", "a\\u{d}\nb"],
  ])("shows the body %j as %j", (hostile, shown) => expect(bodyText(Buffer.from(hostile))).toBe(shown));

  it("shows no body that is no UTF-8 as text", () => {
    expect(bodyText(Buffer.from([0xff, 0xfe]))).toBeUndefined();
  });

  it("is whole with a line of 64 KiB", () => {
    expect(bodyText(Buffer.alloc(65_536, "x"))?.length).toBe(65_536);
    expect(escaped("\u202e".repeat(20_000)).length).toBe(160_000);
  });
});
