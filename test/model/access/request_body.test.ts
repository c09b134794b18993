import { expect, test } from "vitest";
import { type BodyFields, bodyFields, SeveralTexts } from "../../../src/model/access/request_body.js";

const json = "application/json; charset=UTF-8";
const form = "application/x-www-form-urlencoded";

function read(
  type: string,
  body: string | Uint8Array,
  target = "",
  more: Readonly<Record<string, string>> = {},
) {
  const headers = new Map(Object.entries({ "content-type": type, ...more }));
  const query = new Map(new URLSearchParams(target));
  return plain(bodyFields(Buffer.from(body), headers, query));
}

function plain(fields: BodyFields | undefined) {
  if (fields === undefined) return "unknown";
  const texts = [...fields].map(([name, value]) => [
    name,
    value instanceof SeveralTexts ? value.texts : value,
  ]);
  return Object.fromEntries(texts) as unknown;
}

test.each([
  ["members of an object", { to: "a", n: 5, ok: true }, { to: "a", n: "5", ok: "true" }],
  ["members of objects in it", { message: { to: { address: "a" } } }, { "message.to.address": "a" }],
  ["a list", { to: ["a", "b"] }, { to: ["a", "b"] }],
  ["a list of objects", { to: [{ email: "a" }, { email: "b" }] }, { "to.email": ["a", "b"] }],
  ["a batch", [{ to: "a" }, { to: "b" }], { to: ["a", "b"] }],
  ["names in any case", { to: "a", TO: "b" }, { to: ["a", "b"] }],
  ["letters that servers compare without case", { s: "a", ſ: "b" }, { s: ["a", "b"] }],
])("of JSON it knows the texts of %s", (_what, body, expected) => {
  expect(read(json, JSON.stringify(body))).toMatchObject(expected);
});

test.each([
  ["null", { to: null }],
  ["a list of none", { to: [] }],
  ["a list with null", { to: ["a", null] }],
  ["an object", { to: { "": "a" } }],
  ["a text and an object", { to: ["a", { x: "b" }] }],
  ["a number that JavaScript cannot hold", { to: 2 ** 53 + 2 }],
  ["a name with a dot beside the text", { to: "a", "to.x": "b" }],
])("a field is there without a text: %s", (_what, body) => {
  const fields = read(json, JSON.stringify(body)) as Record<string, unknown>;
  expect(Object.keys(fields)).toContain("to");
  expect(fields["to"]).toBeUndefined();
});

test.each([
  ["a name that stands there twice", json, '{"to":"a","to":"b"}'],
  ["the same, escaped", json, '{"to":"a","t\\u006f":"b"}'],
  ["what is no JSON", json, '{"to":"a"} '.repeat(2)],
  ["JSON with a comment", json, '{"to":"a"/**/}'],
  ["a text alone", json, '"a"'],
  ["a byte order mark", json, '\uFEFF{"to":"a"}'],
  ["what is not UTF-8", json, Buffer.from('{"to":"\xe9"}', "latin1")],
  ["what is nested too deep", json, `${'{"a":'.repeat(70)}1${"}".repeat(70)}`],
  ["what would exhaust the stack", json, `${"[".repeat(30_000)}${"]".repeat(30_000)}`],
  ["JSON in another character set", "application/json; charset=utf-16", '{"to":"a"}'],
  ["JSON as a text", "text/plain", '{"to":"a"}'],
  ["no type", "", '{"to":"a"}'],
  ["two types", `${json}, ${form}`, '{"to":"a"}'],
  ["parts", "multipart/form-data; boundary=x", "--x--"],
  ["a form that is JSON as well", form, '{"to":"evil","x":"&to=a&y="}'],
  ["a form that some split at a semicolon", form, "to=a;to=b"],
  ["a form that is not UTF-8", form, "to=%e9"],
  ["names that PHP changes: a blank", form, "to=a&+to=b"],
  ["names that PHP changes: a dot", form, "my_to=a&my.to=b"],
  ["names that PHP changes: half a bracket", form, "my_to=a&my[to=b"],
])("it knows nothing of %s", (_what, type, body) => {
  expect(read(type, body)).toBe("unknown");
});

test.each([
  ["to=a&n=5", { to: "a", n: "5" }],
  ["to=a&to=b", { to: ["a", "b"] }],
  ["to[]=a&to[]=b&To[0]=c", { to: ["a", "b", "c"] }],
  ["items[0][price]=p&items[1][price]=q", { "items.price": ["p", "q"] }],
  ["to=a%26to%3Db", { to: "a&to=b" }],
])("of the form %s it knows the same as of JSON", (body, expected) => {
  expect(read(form, body)).toMatchObject(expected);
});

test("a text beside fields of the same name is none: a server takes one of both", () => {
  expect(read(form, "to=a&to[x]=b")).toEqual({ to: undefined, "to.x": "b" });
  expect(read(form, "to[x]=b&to=a")).toEqual({ to: undefined, "to.x": "b" });
});

test("what the query names as well has both texts", () => {
  expect(read(json, '{"to":"a"}', "TO=b&from=c")).toEqual({ to: ["a", "b"] });
  expect(
    plain(
      bodyFields(Buffer.from('{"to":"a"}'), new Map([["content-type", json]]), new Map([["to", undefined]])),
    ),
  ).toEqual({
    to: undefined,
  });
});

test("nothing is known of what is compressed, nor where the query or a header is not", () => {
  expect(read(json, '{"to":"a"}', "", { "content-encoding": "gzip" })).toBe("unknown");
  expect(
    bodyFields(Buffer.from('{"to":"a"}'), new Map([["content-type", undefined]]), new Map()),
  ).toBeUndefined();
  expect(bodyFields(Buffer.from('{"to":"a"}'), new Map([["content-type", json]]), undefined)).toBeUndefined();
});

test("without a body there are no fields", () => {
  expect(read("", "")).toEqual({});
});

test("a member that is called __proto__ is a field as any other", () => {
  expect(Object.keys(read(json, '{"__proto__":{"to":"a"}}') as object)).toContain("__proto__.to");
});
