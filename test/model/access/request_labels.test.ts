import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { apiLabels, type RequestLabel, requestLabels } from "../../../src/model/access/api_labels.js";
import { describedHeaders, describedUrl, ownLabelsOf } from "../../../src/model/access/request_facts.js";
import { labelsSetBy, ownLabels } from "../../../src/model/access/rules.js";
import { vendorMethods } from "./vendor_methods.js";

function labels(line: string, headers: Record<string, string> = {}): RequestLabel[] | undefined {
  const [method = "", url = ""] = line.split(" ");
  const shown = { ...describedHeaders(method, Object.entries(headers), true), ...describedUrl(url) };
  const known = ownLabelsOf({ ...shown, body: undefined, session: undefined });
  return known && [...known];
}

const gmail = "https://gmail.googleapis.com/gmail/v1/users/me";
const drive = "https://www.googleapis.com/drive/v3";
const calendar = "https://www.googleapis.com/calendar/v3";
const github = "https://api.github.com";
const graph = "https://graph.microsoft.com/v1.0";

it.each<[string, string]>([
  [`GET ${github}/repos/acme/site/issues/7`, "private untrusted"],
  [`HEAD ${github}/repos/acme/site/issues/7`, "private untrusted"],
  [`GET ${github}/user`, "private"],
  [`HEAD ${github}/user`, "private"],
  [`GET ${github}/rate_limit`, ""],
  [`POST ${github}/repos/acme/site/issues`, "shares"],
  [`PUT ${github}/notifications`, ""],
  [`DELETE ${github}/repos/acme/site`, "deletes"],
  [`POST ${github}/graphql`, "private untrusted shares deletes"],
  [`POST ${github}/repos/acme/site/codespaces`, "spends"],
  ["GET https://gitlab.com/api/v4/projects/1/issues", "private untrusted"],
  ["POST https://gitlab.com/api/v4/projects/1/issues/2/notes", "shares"],
  ["GET https://slack.com/api/conversations.history?channel=C1", "private untrusted"],
  ["POST https://slack.com/api/conversations.history", "private untrusted"],
  ["POST https://slack.com/api/auth.test", "private"],
  ["GET https://slack.com/api/chat.postMessage?text=x", "shares"],
  ["POST https://slack.com/api/chat.delete", "deletes"],
  ["POST https://slack.com/api/a.method.of.tomorrow", "shares"],
  ["GET https://files.slack.com/files-pri/T1-F1/a.png", "private untrusted"],
  [`GET ${gmail}/messages/1`, "private untrusted"],
  [`GET ${gmail}/labels`, "private"],
  [`POST ${gmail}/drafts`, ""],
  [`POST ${gmail}/drafts/send`, "shares"],
  [`POST ${gmail}/messages/send`, "shares"],
  [`POST ${gmail}/settings/forwardingAddresses`, "shares"],
  [`POST ${gmail}/messages/1/trash`, "deletes"],
  [`GET ${drive}/files/1?alt=media`, "private untrusted"],
  [`POST ${drive}/files/1/permissions`, "shares"],
  [`PATCH ${drive}/files/1`, "shares deletes"],
  [`GET ${calendar}/calendars/primary/events`, "private untrusted"],
  [`POST ${calendar}/freeBusy`, "private"],
  [`POST ${calendar}/calendars/primary/events`, "shares"],
  ["POST https://www.googleapis.com/batch/drive/v3", "private untrusted shares deletes"],
  ["POST https://sheets.googleapis.com/v4/spreadsheets/1/values/A1:append", "shares"],
  ["POST https://docs.googleapis.com/v1/documents/1:batchUpdate", "shares deletes"],
  ["GET https://people.googleapis.com/v1/people/me", "private"],
  [`GET ${graph}/me/messages`, "private untrusted"],
  [`POST ${graph}/me/sendMail`, "shares"],
  [`POST ${graph}/me/messages`, ""],
  [`POST ${graph}/$batch`, "private untrusted shares deletes"],
  ["POST https://api.notion.com/v1/search", "private untrusted"],
  ["POST https://api.notion.com/v1/pages", "shares"],
  ["PATCH https://api.notion.com/v1/pages/1", "shares deletes"],
  ["POST https://api.linear.app/graphql", "private untrusted shares deletes"],
  ["POST https://acme.atlassian.net/rest/api/3/issue/A-1/comment", "shares"],
  ["GET https://acme.atlassian.net/rest/api/3/myself", "private"],
  ["GET https://app.asana.com/api/1.0/tasks/1", "private untrusted"],
  ["POST https://api.dropboxapi.com/2/files/delete_v2", "deletes"],
  ["POST https://api.dropboxapi.com/2/files/list_folder", "private untrusted"],
  ["POST https://api.hubapi.com/crm/v3/objects/contacts/batch/archive", "deletes"],
  ["POST https://acme.my.salesforce.com/services/data/v62.0/composite", "private untrusted shares deletes"],
  ["PUT https://acme.zendesk.com/api/v2/tickets/1.json", "shares"],
  ["POST https://api.stripe.com/v1/payment_intents", "shares spends"],
  ["POST https://api.stripe.com/v1/products", "shares"],
  ["DELETE https://api.stripe.com/v1/customers/1", "deletes"],
  ["POST https://api-m.paypal.com/v2/checkout/orders", "shares spends"],
  [
    "POST https://acme.myshopify.com/admin/api/2026-07/graphql.json",
    "private untrusted shares deletes spends",
  ],
  ["POST https://api.twilio.com/2010-04-01/Accounts/1/Messages.json", "shares spends"],
  ["POST https://api.sendgrid.com/v3/mail/send", "shares spends"],
  ["GET https://api.openai.com/v1/models", ""],
  ["POST https://api.openai.com/v1/embeddings", "spends"],
  ["POST https://api.anthropic.com/v1/messages", "untrusted spends"],
  ["POST https://api.tavily.com/search", "untrusted spends"],
  ["GET https://api.x.com/2/tweets/search/recent?query=x", "untrusted"],
  ["POST https://api.x.com/2/tweets", "shares"],
  ["POST https://api.cloudflare.com/client/v4/zones/1/purge_cache", "shares spends deletes"],
  // Of what nothing is known.
  ["GET https://api.example.com/x", "private untrusted"],
  ["POST https://api.example.com/x", "private untrusted shares spends deletes"],
  ["DELETE https://api.example.com/x", "private untrusted shares spends deletes"],
  ["GET https://api.github.com.example.com/rate_limit", "private untrusted"],
  ["GET https://api.github.com:8443/rate_limit", ""],
])("%s is labeled: %s", (line, expected) => {
  expect(labels(line)?.join(" ")).toBe(expected);
});

describe("what servers may read in several ways", () => {
  it.each([
    `DELETE ${github}/notifications%2fx`,
    `delete ${github}/notifications`,
    `GET ${github}/rate%5Flimit/%2e%2e/user`,
    "POST https://api.notion.com/v1/pages/a%2fb",
  ])("%s has no labels that are known", (line) => {
    expect(labels(line)).toBeUndefined();
  });

  it("is every label, where a rule sets those of the request", () => {
    const rule = { labels: [ownLabels, "seen", "private"] };
    expect(labelsSetBy(rule, new Set(["shares"]))).toEqual(["shares", "seen", "private"]);
    expect(labelsSetBy(rule, undefined)).toEqual([...Object.keys(requestLabels), "seen"]);
  });
});

describe("the vendors' own lists of methods", () => {
  const methods = vendorMethods();

  it("have no method that deletes and is not labeled so", () => {
    const deleting = methods.filter(({ does }) => does === "deletes");
    // What only this user sees: that it has read something, and what it watches.
    const own = /^DELETE https:\/\/api\.github\.com\/notifications\//;
    const missed = deleting.filter(({ request }) => labels(request)?.includes("deletes") !== true);
    expect(missed.filter(({ request }) => !own.test(request))).toEqual([]);
  });

  it("have no method that reads and is labeled as one that writes", () => {
    const reading = methods.filter(({ does }) => does === "reads");
    const writing = /shares|spends|deletes/;
    expect(reading.filter(({ request }) => writing.test(labels(request)?.join() ?? "shares"))).toEqual([]);
  });

  it("name what writes and has no label at all", () => {
    const writing = methods.filter(({ does, request }) => does === "writes" && labels(request)?.length === 0);
    expect([...new Set(writing.map(({ request }) => request.replace(/^GET (.*slack)/, "POST $1")))]).toEqual([
      "POST https://slack.com/api/conversations.mark",
      "POST https://slack.com/api/dnd.endDnd",
      "POST https://slack.com/api/dnd.endSnooze",
      "POST https://slack.com/api/dnd.setSnooze",
      "POST https://slack.com/api/users.setPresence",
      "PATCH https://gmail.googleapis.com/gmail/v1/users/x1/labels/x1",
      "POST https://gmail.googleapis.com/gmail/v1/users/x1/drafts",
      "POST https://gmail.googleapis.com/gmail/v1/users/x1/labels",
      "POST https://gmail.googleapis.com/gmail/v1/users/x1/messages/x1/untrash",
      "POST https://gmail.googleapis.com/gmail/v1/users/x1/threads/x1/untrash",
      "PUT https://gmail.googleapis.com/gmail/v1/users/x1/drafts/x1",
      "PUT https://gmail.googleapis.com/gmail/v1/users/x1/labels/x1",
      "PUT https://api.github.com/notifications",
      "PATCH https://api.github.com/notifications/threads/x1",
    ]);
  });
});

describe("the table", () => {
  it("has lines that say something", () => {
    const lines = apiLabels.flatMap(({ others = [] }) => others);
    const words = Object.keys(requestLabels).join("|");
    const form = new RegExp(
      `^(GET|POST|PUT|PATCH|DELETE)(,(GET|POST|PUT|PATCH|DELETE))*( /[^\\s:]*(:[a-zA-Z]+)?)+:( (${words}))*$`,
    );
    expect(lines.filter((line) => !form.test(line))).toEqual([]);
    expect(lines.length).toBeGreaterThan(50);
  });

  it("labels APIs of the catalogue alone, more than thirty of them", () => {
    const catalogue = readFileSync("src/catalogue/providers.json", "utf8");
    const names = apiLabels.flatMap(({ hosts }) => hosts.map((host) => host.replace(/^\*\.(api\.)?/, "")));
    expect(apiLabels.length).toBeGreaterThan(30);
    // Google's profile has all names below; the others are the same APIs of a vendor elsewhere.
    const alike = /\.googleapis\.com$|^slack-gov\.com$|^api-m\.sandbox\.paypal\.com$/;
    expect(names.filter((name) => !catalogue.includes(name) && !alike.test(name))).toEqual([]);
  });
});
