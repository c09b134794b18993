import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AccessService, Role } from "../../../gen/nexus/v1/access_pb.js";
import { InvalidArgument } from "../../../model/errors.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import { type Html, html } from "../../../server/pages/html.js";
import { postForm, seeOther } from "../frame/console_forms.js";
import { consolePage } from "../frame/console_layout.js";
import { type ConsoleVisit, refuseUnless } from "../frame/console_visit.js";
import { areaField, inputField, selectField } from "../frame/fields.js";
import { errorSummary, type FormErrors, formErrors } from "../frame/form_errors.js";

const room = "/access";
const newPath = "/access/keys/new";

const roles: readonly (readonly [string, string])[] = [
  ["agent", "Agent"],
  ["operator", "Operator"],
  ["admin", "Admin"],
];
const roleOf: ReadonlyMap<string, Role> = new Map([
  ["agent", Role.AGENT],
  ["operator", Role.OPERATOR],
  ["admin", Role.ADMIN],
]);

const dayMs = 24 * 60 * 60_000;
const lives: readonly (readonly [string, string])[] = [
  ["90", "In 90 days"],
  ["1", "In a day"],
  ["7", "In 7 days"],
  ["30", "In 30 days"],
  ["365", "In a year"],
  ["", "Never"],
];

/** The form of a new key. @param sent what was sent, and why it was refused */
export function newKeyPage(
  visit: ConsoleVisit,
  sent?: { readonly form: URLSearchParams; readonly errors: FormErrors },
): Answer {
  refuseUnless(visit, "key.manage");
  const value = (name: string): string | undefined => sent?.form.get(name) ?? undefined;
  const error = (field: string): string | undefined => sent?.errors.take(field);
  const fields = [
    inputField({
      name: "name",
      label: "Name",
      value: value("name"),
      hint: "For example the name of the agent: small letters, digits, dots, dashes. It stays with this key for good.",
      error: error("name"),
      isRequired: true,
      maxLength: 63,
    }),
    selectField({
      name: "role",
      label: "Role",
      hint: "An agent has the connections named below, with their tokens. An operator looks after providers, connections and the audit log, and reads no token. An admin may do everything.",
      value: value("role") ?? "agent",
      error: error("role"),
      options: roles,
    }),
    restrictionFields(value, error),
    selectField({
      name: "days",
      label: "Ends by itself",
      value: value("days") ?? "90",
      error: error("expires_at"),
      options: lives,
    }),
  ];
  const summary = sent && errorSummary(sent.errors.rest());
  const content = html`${summary}
${postForm(
  visit,
  newPath,
  html`${fields}
<div class="actions"><button type="submit">Create the key</button> <a class="button quiet" href="${room}">Cancel</a></div>`,
)}`;
  return page(visit, "New API key", content, sent?.errors.status);
}

type TextOf = (name: string) => string | undefined;

function restrictionFields(value: TextOf, error: TextOf): Html {
  return html`<fieldset><legend>What an agent is restricted to</legend>
<p class="hint">At least one of them, one entry in a line or with commas between. A connection must fit each that is not empty.</p>
${[
  areaField({
    name: "user_ids",
    label: "Users",
    value: value("user_ids"),
    hint: html`<code>ada</code>, <code>acme:*</code> for every user that begins so, or <code>*</code> for any.`,
    error: error("restriction.user_ids") ?? error("restriction"),
  }),
  areaField({
    name: "providers",
    label: "Providers",
    value: value("providers"),
    hint: "By name or id.",
    error: error("restriction.providers"),
  }),
  areaField({
    name: "connection_ids",
    label: "Connections",
    value: value("connection_ids"),
    hint: "By id; with this list no new connection can be requested.",
    error: error("restriction.connection_ids"),
  }),
]}
</fieldset>`;
}

/** The key is in the answer to this one request, and nowhere else. */
export async function createKey(visit: ConsoleVisit, form: URLSearchParams): Promise<Answer> {
  const role = roleOf.get(form.get("role") ?? "");
  try {
    const days = daysOf(form.get("days") ?? "");
    const { apiKey, key } = await visit.call(AccessService.method.createApiKey, {
      name: (form.get("name") ?? "").trim(),
      role: role ?? Role.UNSPECIFIED,
      ...(role === Role.AGENT && {
        restriction: {
          userIds: listOf(form, "user_ids"),
          providers: listOf(form, "providers"),
          connectionIds: listOf(form, "connection_ids"),
        },
      }),
      ...(days > 0 && { expiresAt: timestampFromMs(visit.nowMs + days * dayMs) }),
    });
    return createdPage(visit, apiKey?.name ?? "", key);
  } catch (error) {
    return newKeyPage(visit, { form, errors: formErrors(error) });
  }
}

function createdPage(visit: ConsoleVisit, name: string, key: string): Answer {
  const content = html`<p class="notice" role="status">This is the key, shown this once: the daemon keeps a digest of it alone.</p>
<div class="field"><label for="api-key">Key of <bdi>${name}</bdi></label>
<div class="copy"><input id="api-key" class="secret" readonly value="${key}" autocomplete="off" spellcheck="false"> <button type="button" class="quiet" data-copy="${key}" hidden>Copy</button></div></div>
<p>An agent sends it as <code>authorization: Bearer KEY</code> or <code>x-api-key: KEY</code>; commands take it from <code>NEXUS_API_KEY</code>.</p>
<p class="actions"><a class="button" href="${room}">I have stored it</a></p>`;
  return page(visit, "API key created", content);
}

export function revokePage(visit: ConsoleVisit): Answer {
  refuseUnless(visit, "key.manage");
  const { name = "" } = visit.params;
  const content = html`<p>The next call with <b><bdi>${name}</bdi></b> is refused, and its streams and sessions end within a second. It cannot be taken back, and the name cannot be given again.</p>
${postForm(
  visit,
  `/access/keys/${encodeURIComponent(name)}/revoke`,
  html`<div class="actions"><button type="submit" class="danger">Revoke the key</button> <a class="button quiet" href="${room}">Cancel</a></div>`,
)}`;
  return page(visit, "Revoke this API key?", content);
}

export async function revokeKey(visit: ConsoleVisit): Promise<Answer> {
  await visit.call(AccessService.method.revokeApiKey, {
    key: { case: "name", value: visit.params["name"] ?? "" },
  });
  return seeOther(room, "key_revoked");
}

function page(visit: ConsoleVisit, title: string, content: Html, status = 200): Answer {
  return consolePage(visit, {
    title,
    room,
    content: html`<div class="card narrow">${content}</div>`,
    status,
  });
}

/** 0 for a key that never ends. @throws InvalidArgument */
function daysOf(text: string): number {
  if (lives.some(([days]) => days === text)) return Number(text);
  throw new InvalidArgument([
    { field: "expires_at", description: "must be one of those that the form offers" },
  ]);
}

function listOf(form: URLSearchParams, name: string): string[] {
  return (form.get(name) ?? "")
    .split(/[\n,]/)
    .map((text) => text.trim())
    .filter((text) => text !== "");
}
