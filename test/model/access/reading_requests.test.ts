import { describe, expect, it } from "vitest";
import { Permissions } from "../../../src/model/access/permissions.js";
import { isWithinMethods, readingMethods, readsOnly } from "../../../src/model/access/reading_requests.js";
import { describedHeaders, describedUrl, factsOf } from "../../../src/model/access/request_facts.js";
import { decide } from "../../../src/model/access/rules.js";
import { vendorMethods } from "./vendor_methods.js";

const connection = { connectionId: "c", userId: "ada", provider: { id: "p", name: "api" } };

function facts(line: string, headers: Record<string, string> = {}) {
  const [method = "", url = ""] = line.split(" ");
  const shown = {
    ...describedHeaders(method, Object.entries(headers), true),
    ...describedUrl(url),
    body: undefined,
    session: undefined,
  };
  return factsOf("key:claude", connection, shown, 0);
}

const reads = (line: string, headers?: Record<string, string>) => facts(line, headers)["request.reads"];

/** What a key with these methods may do. */
function verdict(line: string, methods: readonly string[]) {
  const place = { text: "a key", line: 0 };
  const { requestRules } = new Permissions([{ role: "agent", restriction: { methods }, place }], place);
  const ruling = decide(requestRules, facts(line));
  return ruling.unclear === undefined ? ruling.verdict : "unclear";
}

describe("the vendors' own lists of methods", () => {
  const methods = vendorMethods();

  it("are there", () => {
    const count = (of: string, what: string) =>
      methods.filter(({ provider, does }) => provider === of && does === what).length;
    // Slack's are called by GET and by POST.
    expect([count("slack", "reads"), count("slack", "deletes")]).toEqual([182, 74]);
    expect([count("google", "deletes"), count("github", "deletes")]).toEqual([29, 193]);
  });

  it("have no method that a caller who only reads may write by", () => {
    const written = methods.filter(({ does }) => does !== "reads");
    expect(written.filter(({ request }) => reads(request) !== false)).toEqual([]);
  });

  it("have each method that reads among what such a caller may do", () => {
    const read = methods.filter(({ does }) => does === "reads");
    expect(read.filter(({ request }) => reads(request) !== true)).toEqual([]);
  });
});

it.each([
  ["GET https://api.example.com/x", true],
  ["OPTIONS https://api.example.com/x", true],
  ["POST https://api.example.com/search", false],
  ["DELETE https://slack.com/api/conversations.list", false],
  ["GET https://acme.slack.com/api/chat.postMessage", false],
  ["HEAD https://slack.com/api/chat.postMessage", false],
  ["OPTIONS https://slack.com/api/chat.postMessage", false],
  ["GET https://slack.com/api/CHAT.postMessage", false],
  ["GET https://slack.com/api/a.method.of.tomorrow", false],
  ["GET https://files.slack.com/files-pri/T1-F1/a.png", true],
  ["GET https://files.slack.com/files-pri/T1-F1/download/a.png", true],
  ["POST https://files.slack.com/upload/v1/abc", false],
  ["GET https://notslack.com/api/chat.postMessage", true],
  ["GET https://ec2.eu-west-1.amazonaws.com/?Action=DescribeInstances", true],
  ["GET https://ec2.eu-west-1.amazonaws.com/?Action=TerminateInstances&InstanceId.1=i-1", false],
  ["GET https://ec2.eu-west-1.amazonaws.com/?%41ction=TerminateInstances", false],
  ["GET https://iam.amazonaws.com/?Action=ListUsers&Action=DeleteUser", false],
  ["POST https://iam.amazonaws.com/?Action=ListUsers", false],
  ["GET https://bucket.s3.amazonaws.com/key", true],
  ["GET https://graph.facebook.com/v22.0/me", true],
  ["GET https://graph.facebook.com/v22.0/me/feed?method=post&message=x", false],
  ["GET https://graph.facebook.com/v22.0/1?METHOD=delete", false],
  ["GET https://wbsapi.withings.net/measure?action=getmeas", true],
  ["GET https://wbsapi.withings.net/notify?action=revoke", false],
  ["POST https://api.github.com/graphql", false],
  ["POST https://api.github.com/markdown", true],
  ["POST https://api.linear.app/graphql", false],
  ["POST https://gmail.googleapis.com/batch/gmail/v1", false],
  ["GET https://gmail.googleapis.com/gmail/v1/users/me/messages/1?$httpMethod=DELETE", false],
  ["POST https://analyticsdata.googleapis.com/v1beta/properties/1:runReport", true],
  ["POST https://analyticsdata.googleapis.com/v1beta/properties/1%3ArunReport", undefined],
  ["POST https://graph.microsoft.com/v1.0/$batch", false],
  ["POST https://graph.microsoft.com/v1.0/search/query", true],
  ["POST https://api.notion.com/v1/databases/1/query", true],
  ["PATCH https://api.notion.com/v1/databases/1/query", false],
  ["POST https://api.notion.com/v1/databases/1/2/query", false],
  ["POST https://api.dropboxapi.com/2/files/list_folder", true],
  ["POST https://api.dropboxapi.com/2/files/delete_v2", false],
  ["POST https://api.dropboxapi.com/2/files/get_temporary_upload_link", false],
  ["GET https://slack.com/api/%2e%2e/api/chat.postMessage", undefined],
  ["GET https://api.example.com/a/..%2fb", true],
])("%s reads: %s", (line, expected) => expect(reads(line)).toBe(expected));

it("depends on headers that change the request", () => {
  expect(reads("GET https://api.example.com/x", { "x-http-method-override": "DELETE" })).toBeUndefined();
  expect(
    reads("GET https://slack.com/api/api.test", { "x-original-url": "/api/chat.delete" }),
  ).toBeUndefined();
  expect(readsOnly({ method: "GET", host: undefined, path: "/", query: undefined })).toBeUndefined();
});

describe("a key that is restricted to methods", () => {
  it.each([
    [readingMethods, "GET https://slack.com/api/chat.postMessage", "deny"],
    [readingMethods, "POST https://slack.com/api/conversations.list", "allow"],
    [readingMethods, "POST https://api.github.com/user/repos", "deny"],
    [readingMethods, "GET https://api.github.com/a%2fb", "allow"],
    [readingMethods, "GET https://slack.com/api/x%2fb", "unclear"],
    [["GET"], "GET https://slack.com/api/chat.postMessage", "deny"],
    [["GET"], "GET https://slack.com/api/conversations.list", "allow"],
    [["GET"], "POST https://slack.com/api/conversations.list", "deny"],
    [["GET"], "HEAD https://api.github.com/user", "deny"],
    [["GET", "POST"], "GET https://slack.com/api/chat.postMessage", "allow"],
    [["POST"], "POST https://slack.com/api/chat.postMessage", "allow"],
    [["POST"], "GET https://slack.com/api/conversations.list", "deny"],
  ])("%s: %s is %s", (methods, line, expected) => expect(verdict(line, methods)).toBe(expected));

  it("gets no token, and sends nothing whose method is unknown", () => {
    for (const methods of [readingMethods, ["GET"], ["POST"]])
      expect(isWithinMethods(methods, { method: undefined, reads: undefined })).toBeUndefined();
  });
});
