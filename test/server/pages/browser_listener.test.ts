import { expect, test } from "vitest";
import { defaultLimits } from "../../../src/model/limits.js";
import type { HttpAnswer } from "../../../src/server/listen/http_listener.js";
import {
  BrowserListener,
  type BrowserListenerOptions,
  sentForm,
} from "../../../src/server/pages/browser_listener.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { freePort } from "../../free_port.js";
import { raw, visit } from "../../security/visitor.js";
import { loopback, opened, portOf } from "../temporary.js";

const text = (status: number, body: string): HttpAnswer => ({
  status,
  headers: { "content-type": "text/plain" },
  body,
});

/** Pages that say what they were asked. */
async function listening(change: Partial<BrowserListenerOptions> = {}, limits = defaultLimits) {
  const listener = await opened(
    new BrowserListener({
      listener: "pages",
      setting: "NEXUS_PAGES_LISTEN",
      listen: loopback,
      urlOf: (bound) => (bound?.kind === "tcp" ? `http://localhost:${bound.port}` : undefined),
      answer: async ({ request, path, url, body }) => {
        const form = request.method === "POST" ? sentForm(request.headers, url, body) : "";
        return text(200, `${path} ${form}`);
      },
      refused: (refusal) => text(400, JSON.stringify(refusal)),
      internalError: text(500, "internal"),
      onUnexpected: (error) => expect(error).toBeUndefined(),
      bounds: { limits, clock: new ManualClock(0), onFull: () => undefined },
      ...change,
    }),
  );
  return { listener, origin: `http://localhost:${portOf(listener)}` };
}

const formType = "application/x-www-form-urlencoded";

test("answers for its own names alone", async () => {
  const { origin } = await listening();
  const { host, port } = new URL(origin);
  for (const name of [host, `127.0.0.1:${port}`, `[::1]:${port}`, host.toUpperCase()])
    expect((await visit(origin, { headers: { host: name } })).body).toBe("/ ");
  for (const name of ["rebound.example", `rebound.example:${port}`, "localhost", `localhost.:${port}`]) {
    const { status, body } = await visit(origin, { headers: { host: name } });
    expect([status, JSON.parse(body)]).toEqual([400, { kind: "misdirected", origin }]);
  }
});

test("has no name before a setting gives it one", async () => {
  const { listener } = await listening({ urlOf: () => undefined });
  const { body } = await visit(`http://localhost:${portOf(listener)}`);
  expect(JSON.parse(body)).toEqual({ kind: "misdirected" });
});

test.each([
  ["two hosts", "GET / HTTP/1.1\r\nhost: localhost:PORT\r\nhost: localhost:PORT\r\n"],
  ["the form of a proxy", "GET http://localhost:PORT/ HTTP/1.1\r\nhost: localhost:PORT\r\n"],
  ["an asterisk", "OPTIONS * HTTP/1.1\r\nhost: localhost:PORT\r\n"],
])("looks for no page for %s", async (_name, head) => {
  const { listener } = await listening();
  const port = portOf(listener);
  const answer = await raw(port, `${head.replaceAll("PORT", String(port))}connection: close\r\n\r\n`);
  expect(answer).toMatch(/^HTTP\/1\.1 400 /);
});

test.each<[name: string, headers: Record<string, string>, form: string]>([
  ["a form of its own", {}, "a=1"],
  ["a form that says so", { origin: "own", "sec-fetch-site": "same-origin" }, "a=1"],
  ["a form of another origin", { origin: "https://evil.example" }, "foreign"],
  ["a form of no origin", { origin: "null" }, "foreign"],
  ["a form of another site", { "sec-fetch-site": "cross-site" }, "foreign"],
  ["a form of another origin of the site", { "sec-fetch-site": "same-site" }, "foreign"],
  ["JSON", { "content-type": "application/json" }, "no_form"],
  ["text, which needs no preflight", { "content-type": "text/plain" }, "no_form"],
])("judges %s", async (_name, headers, form) => {
  const { origin } = await listening();
  const sent: Record<string, string> = { "content-type": formType, ...headers };
  if (sent["origin"] === "own") sent["origin"] = origin;
  const { body } = await visit(`${origin}/do`, { method: "POST", headers: sent, body: "a=1" });
  expect(body).toBe(`/do ${form}`);
});

test("holds no form that is longer than the limit, and none where no form is taken", async () => {
  const limits = { ...defaultLimits, maxFormBytes: 4_096 };
  const { origin } = await listening({ takesForm: (path) => path === "/do" }, limits);
  const post = async (path: string, body: string) =>
    (await visit(`${origin}${path}`, { method: "POST", headers: { "content-type": formType }, body })).body;
  expect(await post("/do", "a".repeat(4_096))).toBe(`/do ${"a".repeat(4_096)}=`);
  expect(await post("/do", "a".repeat(4_097))).toBe("/do too_large");
  expect(await post("/other", "a=1")).toBe("/other ");
});

test("answers an address as often as its rate allows, and says when to come again", async () => {
  const limits = { ...defaultLimits, browserRate: { perSecond: 1, burst: 2 } };
  const { origin } = await listening({}, limits);
  const answers = [await visit(origin), await visit(origin), await visit(origin)];
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 400]);
  expect(JSON.parse(answers[2]?.body ?? "")).toEqual({ kind: "tooFast", perSecond: 1 });
  expect(answers[2]?.headers["retry-after"]).toBe("1");
});

test("puts the path of its URL before what it says of itself", async () => {
  const headers = { location: "/next" };
  const page = {
    status: 303,
    headers,
    body: '<a href="/next">next</a> <a href="https://a.example/">out</a>',
  };
  const { listener } = await listening({
    urlOf: () => "https://a.example/nexus/",
    answer: async () => page,
  });
  const answer = await visit(`http://localhost:${portOf(listener)}`, { headers: { host: "a.example" } });
  expect(answer.headers["location"]).toBe("/nexus/next");
  expect(answer.body).toBe('<a href="/nexus/next">next</a> <a href="https://a.example/">out</a>');
});

test("takes its usual port where any is asked for, and another where that is in use", async () => {
  const usualPort = await freePort();
  const first = await listening({ usualPort });
  expect(portOf(first.listener)).toBe(usualPort);
  const second = await listening({ usualPort });
  expect(portOf(second.listener)).not.toBe(usualPort);
});
