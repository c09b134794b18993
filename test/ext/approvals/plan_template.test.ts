import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { compiledTemplate } from "../../../src/ext/approvals/plan_template.js";
import { PlannedRequestSchema } from "../../../src/gen/nexus/v1/approval_pb.js";
import { describedHeaders, describedUrl, factsOf } from "../../../src/model/access/request_facts.js";

const connection = { connectionId: "c-1", userId: "ada", provider: { id: "p", name: "github" } };

interface Sent {
  readonly body?: string;
  readonly type?: string;
  readonly headers?: readonly (readonly [string, string])[];
}

function facts(line: string, { body, type = "application/json", headers = [] }: Sent = {}) {
  const [method = "", url = ""] = line.split(" ");
  const bytes = body === undefined ? undefined : Buffer.from(body);
  const request = {
    ...describedUrl(url),
    ...describedHeaders(method, [["content-type", type], ...headers], true),
    body: bytes && { size: bytes.length, digest: "", bytes },
    session: undefined,
  };
  return factsOf("key:claude", connection, request, 0);
}

function planned(line: string, body: Record<string, string> = {}) {
  const [method = "", url = ""] = line.split(" ");
  const init: MessageInitShape<typeof PlannedRequestSchema> = { provider: "github", method, url, body };
  return compiledTemplate(create(PlannedRequestSchema, init), "requests[0]");
}

function covers(template: string, body: Record<string, string>, line: string, sent?: Sent): boolean {
  const compiled = planned(template, body);
  if (Array.isArray(compiled)) throw new Error(JSON.stringify(compiled));
  return compiled.covers(facts(line, sent));
}

const issues = "POST https://api.github.com/repos/acme/{id}/issues";
const mail = "POST https://mail.example/send";

describe("a template of a plan covers", () => {
  it.each<[string, Record<string, string>, string, Sent?]>([
    [issues, {}, "POST https://api.github.com/repos/acme/app/issues"],
    [
      issues,
      {},
      "POST https://api.github.com/repos/acme/app/issues",
      { body: "anything", type: "text/plain" },
    ],
    ["GET https://a.example/x?page={number}&q=a+b", {}, "GET https://a.example/x?q=a%20b&page=12"],
    ["GET https://a.example/x(1)+2*$.y", {}, "GET https://a.example/x(1)+2*$.y"],
    ["GET https://a.example/x%3Ay", {}, "GET https://a.example/x%3Ay"],
    ["GET https://a.example:8443/", {}, "GET https://a.example:8443/"],
    [mail, { to: "x@y.example", text: "{text}" }, mail, { body: '{"to":"x@y.example","text":"a\\nb/c"}' }],
    [mail, { TO: "x@y.example" }, mail, { body: '{"To":["x@y.example"]}' }],
    [mail, { "message.to": "x" }, mail, { body: '{"message":{"to":"x"}}' }],
    [mail, { to: "x" }, mail, { body: "to=x", type: "application/x-www-form-urlencoded" }],
    [mail, { to: "a.b|c[d]^{id}" }, mail, { body: '{"to":"a.b|c[d]^7"}' }],
  ])("%s with %j: %s", (template, body, line, sent) => {
    expect(covers(template, body, line, sent)).toBe(true);
  });
});

describe("a template of a plan does not cover", () => {
  it.each<[string, Record<string, string>, string, Sent?]>([
    [issues, {}, "PUT https://api.github.com/repos/acme/app/issues"],
    [issues, {}, "POST https://api.github.com.evil.example/repos/acme/app/issues"],
    [issues, {}, "POST https://api.github.com/repos/acme/app/issues/1"],
    [issues, {}, "POST https://api.github.com/repos/acme/app/pulls"],
    [issues, {}, "POST https://api.github.com/repos/acme/a%2Fb/issues"],
    [issues, {}, "POST https://api.github.com/repos/acme/../issues"],
    [issues, {}, "POST https://api.github.com/repos/acme/app/issues?assignee=eve"],
    [issues, {}, "POST https://api.github.com/repos/acme/app/issues?_method=DELETE"],
    [
      issues,
      {},
      "POST https://api.github.com/repos/acme/app/issues",
      { headers: [["x-http-method-override", "DELETE"]] },
    ],
    [issues, {}, "POST https://api.github.com/repos/acme/a%3Ab/issues"],
    ["GET https://a.example/x.y", {}, "GET https://a.example/xzy"],
    ["GET https://a.example/x?page={number}", {}, "GET https://a.example/x"],
    ["GET https://a.example/x?page={number}", {}, "GET https://a.example/x?page=1&page=2"],
    ["GET https://a.example/x?page={number}", {}, "GET https://a.example/x?page=1a"],
    [mail, { to: "x" }, mail],
    [mail, { to: "x" }, mail, { body: '{"to":"y"}' }],
    [mail, { to: "x" }, mail, { body: '{"to":"x","cc":"eve"}' }],
    [mail, { to: "x" }, mail, { body: '{"to":"x","cc":null}' }],
    [mail, { to: "x" }, mail, { body: '{"to":["x","x"]}' }],
    [mail, { to: "x" }, mail, { body: '[{"to":"x"},{"to":"x"}]' }],
    [mail, { to: "x" }, mail, { body: '{"to":"x","to":"eve"}' }],
    [mail, { to: "x" }, mail, { body: "to=x", type: "text/plain" }],
    [mail, { to: "x", cc: "{text}" }, mail, { body: '{"to":"x"}' }],
    [mail, { "message.to": "x" }, mail, { body: '{"message":{"to":"x","cc":"eve"}}' }],
    [mail, { "message.to": "x" }, mail, { body: '{"message":[]}' }],
    [mail, { "message.to": "x" }, mail, { body: "{}" }],
  ])("%s with %j: %s %j", (template, body, line, sent) => {
    expect(covers(template, body, line, sent)).toBe(false);
  });

  it("a request over http, where it says https", () => {
    expect(planned(mail)).toMatchObject({ isPlain: false });
    expect(planned("GET http://a.example/")).toMatchObject({ isPlain: true });
  });
});

describe("a template of a plan is refused", () => {
  it.each([
    ["GET https://a.example/{numbr}", {}, "requests[0].url", "did you mean number?"],
    ["GET https://a.example/{text}", {}, "requests[0].url", "{text} stands for nothing here"],
    ["GET https://a.example/a/../b", {}, "requests[0].url", "several ways"],
    ["GET https://a.example//b", {}, "requests[0].url", "several ways"],
    ["GET https://a.example/%61", {}, "requests[0].url", "plainer form"],
    ["GET https://a.example/?a=1&a=2", {}, "requests[0].url", "the parameter a stands there twice"],
    ["GET https://a.example/?a={Number}", {}, "requests[0].url", "stands for nothing"],
    [mail, { to: "{anything}" }, "requests[0].body", "{anything} stands for nothing"],
    [mail, { to: "a", TO: "b" }, "requests[0].body", "twice"],
  ])("%s %j", (template, body, field, description) => {
    expect(planned(template, body as Record<string, string>)).toEqual(
      expect.arrayContaining([{ field, description: expect.stringContaining(description) }]),
    );
  });
});
