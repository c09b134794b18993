import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AccessService, Role } from "../../../gen/nexus/v1/access_pb.js";
import { agentOf, keyPrincipalName } from "../../../model/access/access.js";
import { InvalidArgument } from "../../../model/model.js";
import type { HttpAnswer } from "../../../server/kit.js";
import { Area, Input, Select } from "../../../server/pages/kit.js";
import { agentPath } from "../kit/agent_names.js";
import { CopyField } from "../kit/copy.js";
import { fieldsOf, formErrors, formPage, type SentForm } from "../kit/forms.js";
import { consolePage, seeOther } from "../kit/page.js";
import { Go } from "../kit/parts.js";
import { type PageRequest, refuseUnless, textsOf } from "../kit/request.js";
import { roleWords } from "../kit/words.js";

const section = "/agents";
const newPath = "/agents/keys/new";

const roles = [Role.AGENT, Role.OPERATOR, Role.ADMIN];

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
export function newKeyPage(request: PageRequest, sent?: SentForm): HttpAnswer {
  refuseUnless(request, "key.manage");
  const field = fieldsOf(sent);
  const users = field("user_ids", "Users", { at: "restriction.user_ids" });
  const fields = (
    <>
      <Input
        {...field("name", "Name", { required: true, maxLength: 63 })}
        hint="For example the name of the agent: lowercase letters, digits, dots, dashes. It stays with this key for good."
      />
      <Select
        {...field("role", "Role", { value: "agent" })}
        hint="An agent has the connections named below, with their tokens. An operator looks after providers, connections and the audit log, and reads no token. An admin may do everything."
        options={roles.map((role) => [roleWords[role].toLowerCase(), roleWords[role]] as const)}
      />
      <fieldset>
        <legend>What an agent is restricted to</legend>
        <p class="hint">
          At least one of them, one entry in a line or with commas between. A connection must fit each that is
          not empty.
        </p>
        <Area
          {...{ ...users, error: users.error ?? sent?.errors.take("restriction") }}
          hint={<><code>ada</code>, <code>acme:*</code> for every user that begins so, or <code>*</code> for any.</>}
        />
        <Area {...field("providers", "Providers", { at: "restriction.providers" })} hint="By name or id." />
        <Area
          {...field("connection_ids", "Connections", { at: "restriction.connection_ids" })}
          hint="By id; with this list no new connection can be requested."
        />
      </fieldset>
      <Select {...field("days", "Ends by itself", { value: "90", at: "expires_at" })} options={lives} />
    </>
  );
  return formPage(request, {
    ...{ title: "New API key", section, action: newPath, submit: "Create the key", cancel: section },
    ...{ fields, sent },
  });
}

/** The key is in the answer to this one request, and nowhere else. */
export async function createKey(request: PageRequest, form: URLSearchParams): Promise<HttpAnswer> {
  const sent = textsOf(form, ["name", "role", "days", "user_ids", "providers", "connection_ids"]);
  const role = roles.find((each) => roleWords[each].toLowerCase() === sent.role);
  const list = (text: string) => text.split(/[\n,]/).map((entry) => entry.trim()).filter(Boolean);
  try {
    const days = daysOf(sent.days);
    const restriction = {
      userIds: list(sent.user_ids),
      providers: list(sent.providers),
      connectionIds: list(sent.connection_ids),
    };
    const { apiKey, key } = await request.call(AccessService.method.createApiKey, {
      ...{ name: sent.name, role: role ?? Role.UNSPECIFIED },
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

function createdPage(request: PageRequest, name: string, key: string): HttpAnswer {
  const label = <>Key of <bdi>{name}</bdi></>;
  const content = (
    <div class="card narrow">
      <p class="notice" role="status">
        This is the key, shown this once: the daemon keeps a digest of it alone.
      </p>
      <CopyField id="api-key" label={label} value={key} />
      <p>
        An agent sends it as <code>authorization: Bearer KEY</code> or <code>x-api-key: KEY</code>; commands
        take it from <code>NEXUS_API_KEY</code>.
      </p>
      <p class="actions"><Go to={agentPath(agentOf(keyPrincipalName(name)))} text="I have stored it" /></p>
    </div>
  );
  return consolePage(request, { title: "API key created", section, content });
}

export async function revokeKey({ call, params }: PageRequest): Promise<HttpAnswer> {
  const { name = "" } = params;
  await call(AccessService.method.revokeApiKey, { key: { case: "name", value: name } });
  return seeOther(agentPath(agentOf(keyPrincipalName(name))), "key_revoked");
}
