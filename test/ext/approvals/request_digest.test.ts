import { createHash } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { digestOf } from "../../../src/ext/approvals/held_requests.js";
import { ShownRequestSchema } from "../../../src/gen/nexus/v1/token_pb.js";
import { describedRequestOf, requestDescription } from "../../../src/service/messages/request_description.js";
import fc from "../../property.js";

/** A request as a program sends it. */
interface Sent {
  readonly method: string;
  readonly scheme: "https" | "http";
  readonly host: string;
  readonly port: string;
  readonly target: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

// Few and similar texts, so that requests are often the same but for one sign.
const sent: fc.Arbitrary<Sent> = fc.record({
  method: fc.constantFrom("GET", "POST", "post", "DELETE"),
  scheme: fc.constantFrom("https", "http"),
  host: fc.constantFrom("api.example", "API.example", "api.example.org", "apI.Example"),
  port: fc.constantFrom("", ":443", ":80", ":8443"),
  target: fc.constantFrom(
    ...["/a", "/A", "/%61", "/%41", "/a/", "//a", "/a?", "/a?b=c", "/a?b=C", "/a?b=%63", "/a?b=c&b=c"],
    ...["/a%2fb", "/a%2Fb", "/a/b", "/a/../b", "/a;b", "/a+b", "/a%20b"],
  ),
  headers: fc.uniqueArray(
    fc.tuple(
      fc.constantFrom("accept", "Accept", "x-a", "X-A", "x-b", "authorization", "x"),
      fc.constantFrom("", "a", "A", ", ", '"', "x-b: a", "a,b"),
    ),
    { maxLength: 3, selector: ([name]) => name.toLowerCase() },
  ),
  body: fc.constantFrom("", "a", "A", "{}", "[]"),
});

const ownPort = { https: ":443", http: ":80" } as const;

/** From the proxy over the wire to the approver. */
function digest({ method, scheme, host, port, target, headers, body }: Sent): string {
  const url = `${scheme}://${host}${port}${target}`;
  const shown = requestDescription({
    ...{ method, url, headers: Object.fromEntries(headers), body: Buffer.from(body) },
    ...{ session: "", repeats: false },
  });
  const message = fromBinary(
    ShownRequestSchema,
    toBinary(ShownRequestSchema, create(ShownRequestSchema, shown)),
  );
  const request = describedRequestOf(message);
  if (!request) throw new Error("nothing is shown");
  const connection = { connectionId: "c-1", userId: "ada", provider: { id: "p", name: "op" } };
  return digestOf({ principal: { name: "key:claude", kind: "key" }, connection, request });
}

/**
 * What distinguishes requests, in words of its own. Names of hosts and headers have no case, headers no order, 443 is the port of https, and 80
 * that of http. Method, path and query are what is sent, percent-encoding included: servers read them each in its way. Credentials do not count.
 */
function meaning({ method, scheme, host, port, target, headers, body }: Sent): string {
  const counted = headers
    .map(([name, value]) => [name.toLowerCase(), value])
    .filter(([name]) => name !== "authorization")
    .sort(([one = ""], [other = ""]) => one.localeCompare(other));
  const where = [scheme, host.toLowerCase(), port === ownPort[scheme] ? "" : port];
  return JSON.stringify([method, where, target, counted, createHash("sha256").update(body).digest("hex")]);
}

const shuffledCase = (text: string, flips: number): string =>
  [...text].map((sign, at) => ((flips >> (at % 8)) & 1 ? sign.toUpperCase() : sign.toLowerCase())).join("");

describe("the digest that an approval is bound to, of requests as they are sent", () => {
  it("is the same for one request, whatever the order and case of its headers and the case of its host", () => {
    fc.assert(
      fc.property(sent, fc.nat(255), (request, flips) => {
        const headers = [...request.headers]
          .reverse()
          .map(([name, value]) => [shuffledCase(name, flips), value] as const);
        const port = request.port === "" ? ownPort[request.scheme] : request.port;
        const host = shuffledCase(request.host, flips);
        expect(digest({ ...request, headers, host, port })).toBe(digest(request));
      }),
      { numRuns: 1_000 },
    );
  });

  it("is another one for each other request", () => {
    const parts = ["method", "scheme", "host", "port", "target", "headers", "body"] as const;
    fc.assert(
      fc.property(sent, sent, fc.subarray([...parts], { maxLength: 2 }), (one, two, changed) => {
        const other = { ...one, ...Object.fromEntries(changed.map((part) => [part, two[part]])) };
        expect(digest(one) === digest(other)).toBe(meaning(one) === meaning(other));
      }),
      { numRuns: 3_000 },
    );
  });

  it("is another one for a header that takes over a sign of its neighbor", () => {
    const of = (...headers: (readonly [string, string])[]) =>
      digest({ method: "GET", scheme: "https", host: "h", port: "", target: "/", headers, body: "" });
    expect(of(["x", "a,b"])).not.toBe(of(["x", "a"], ["b", ""]));
    expect(of(["x", 'a","b'])).not.toBe(of(["x", "a"], ["b", ""]));
    expect(of()).not.toBe(of(["x", ""]));
  });
});
