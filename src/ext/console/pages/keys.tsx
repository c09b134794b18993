import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AccessService, Role } from "../../../gen/nexus/v1/access_pb.js";
import { InvalidArgument } from "../../../model/errors.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import { Area, CopyField, Input, Select } from "../../../server/views/fields.js";
import { FormButtons, Go } from "../../../server/views/parts.js";
import type { View } from "../../../server/views/view.js";
import { ErrorSummary, formErrors, type Sent } from "../kit/errors.js";
import { consolePage, PostForm, seeOther } from "../kit/page.js";
import { type PageRequest, refuseUnless } from "../kit/request.js";
import { roleWords } from "../kit/words.js";

const section = "/access";
const newPath = "/access/keys/new";

const roles: ReadonlyMap<string, Role> = new Map([
  ["agent", Role.AGENT],
  ["operator", Role.OPERATOR],
  ["admin", Role.ADMIN],
]);

const dayMs = 24 * 60 * 60_000;
const lives: readonly (readonly [days: string, label: string])[] = [
  ["90", "In 90 days"],
  ["1", "In a day"],
  ["7", "In 7 days"],
  ["30", "In 30 days"],
  ["365", "In a year"],
  ["", "Never"],
];

/** The form of a new key. */
export function newKeyPage(request: PageRequest, sent?: Sent): Answer {
  refuseUnless(request, "key.manage");
  const value = (name: string): string | undefined => sent?.form.get(name) ?? undefined;
  const error = (field: string): string | undefined => sent?.errors.take(field);
  const fields = (
    <>
      <Input
        {...{
          name: "name",
          label: "Name",
          value: value("name"),
          error: error("name"),
          required: true,
          maxLength: 63,
        }}
        hint="For example the name of the agent: small letters, digits, dots, dashes. It stays with this key for good."
      />
      <Select
        {...{ name: "role", label: "Role", value: value("role") ?? "agent", error: error("role") }}
        hint="An agent has the connections named below, with their tokens. An operator looks after providers, connections and the audit log, and reads no token. An admin may do everything."
        options={[...roles].map(([word, role]) => [word, roleWords[role]] as const)}
      />
      <Restriction value={value} error={error} />
      <Select
        {...{ name: "days", label: "Ends by itself", value: value("days") ?? "90", options: lives }}
        error={error("expires_at")}
      />
    </>
  );
  const content = (
    <>
      {sent && <ErrorSummary rest={sent.errors.rest()} />}
      <PostForm request={request} action={newPath}>
        {fields}
        <FormButtons text="Create the key" cancel={section} />
      </PostForm>
    </>
  );
  return page(request, "New API key", content, sent?.errors.status);
}

type TextOf = (name: string) => string | undefined;

function Restriction({ value, error }: { readonly value: TextOf; readonly error: TextOf }) {
  return (
    <fieldset>
      <legend>What an agent is restricted to</legend>
      <p class="hint">
        At least one of them, one entry in a line or with commas between. A connection must fit each that is
        not empty.
      </p>
      <Area
        {...{ name: "user_ids", label: "Users", value: value("user_ids") }}
        hint={
          <><code>ada</code>, <code>acme:*</code> for every user that begins so, or <code>*</code> for any.</>
        }
        error={error("restriction.user_ids") ?? error("restriction")}
      />
      <Area
        {...{ name: "providers", label: "Providers", value: value("providers"), hint: "By name or id." }}
        error={error("restriction.providers")}
      />
      <Area
        {...{ name: "connection_ids", label: "Connections", value: value("connection_ids") }}
        hint="By id; with this list no new connection can be requested."
        error={error("restriction.connection_ids")}
      />
    </fieldset>
  );
}

/** The key is in the answer to this one request, and nowhere else. */
export async function createKey(request: PageRequest, form: URLSearchParams): Promise<Answer> {
  const role = roles.get(form.get("role") ?? "");
  const list = (name: string) =>
    (form.get(name) ?? "")
      .split(/[\n,]/)
      .map((text) => text.trim())
      .filter(Boolean);
  try {
    const days = daysOf(form.get("days") ?? "");
    const restriction = {
      ...{ userIds: list("user_ids"), providers: list("providers"), connectionIds: list("connection_ids") },
    };
    const { apiKey, key } = await request.call(AccessService.method.createApiKey, {
      ...{ name: (form.get("name") ?? "").trim(), role: role ?? Role.UNSPECIFIED },
      ...(role === Role.AGENT && { restriction }),
      ...(days > 0 && { expiresAt: timestampFromMs(request.nowMs + days * dayMs) }),
    });
    return createdPage(request, apiKey?.name ?? "", key);
  } catch (error) {
    return newKeyPage(request, { form, errors: formErrors(error) });
  }
}

/** 0 for a key that never ends. @throws InvalidArgument */
function daysOf(text: string): number {
  if (lives.some(([days]) => days === text)) return Number(text);
  throw new InvalidArgument([
    { field: "expires_at", description: "must be one of those that the form offers" },
  ]);
}

function createdPage(request: PageRequest, name: string, key: string): Answer {
  const label = <>Key of <bdi>{name}</bdi></>;
  const content = (
    <>
      <p class="notice" role="status">
        This is the key, shown this once: the daemon keeps a digest of it alone.
      </p>
      <CopyField id="api-key" label={label} value={key} />
      <p>
        An agent sends it as <code>authorization: Bearer KEY</code> or <code>x-api-key: KEY</code>; commands
        take it from <code>NEXUS_API_KEY</code>.
      </p>
      <p class="actions"><Go to={section} text="I have stored it" /></p>
    </>
  );
  return page(request, "API key created", content);
}

export function revokeKeyPage(request: PageRequest): Answer {
  refuseUnless(request, "key.manage");
  const { name = "" } = request.params;
  const content = (
    <>
      <p>
        The next call with{" "}
        <b><bdi>{name}</bdi></b>{" "}
        is refused, and its streams and sessions end within a second. This cannot be undone, and the name
        cannot be given again.
      </p>
      <PostForm request={request} action={`/access/keys/${encodeURIComponent(name)}/revoke`}>
        <FormButtons text="Revoke the key" kind="danger" cancel={section} />
      </PostForm>
    </>
  );
  return page(request, "Revoke this API key?", content);
}

export async function revokeKey({ call, params }: PageRequest): Promise<Answer> {
  await call(AccessService.method.revokeApiKey, { key: { case: "name", value: params["name"] ?? "" } });
  return seeOther(section, "key_revoked");
}

function page(request: PageRequest, title: string, content: View, status = 200): Answer {
  return consolePage(request, { title, section, content: <div class="card narrow">{content}</div>, status });
}
