import { randomBytes } from "node:crypto";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { AccessService, Role } from "../../../gen/nexus/v1/access_pb.js";
import { ApprovalService } from "../../../gen/nexus/v1/approval_pb.js";
import { agentOf, keyPrincipalName, readingMethods } from "../../../model/access/access.js";
import { InvalidArgument, NotFound } from "../../../model/model.js";
import type { HttpAnswer } from "../../../server/kit.js";
import { Input, Select } from "../../../server/pages/kit.js";
import { agentPath, isOfKeys } from "../kit/agent_names.js";
import { CopyField } from "../kit/copy.js";
import { fieldsOf, formErrors, formPage, type SentForm } from "../kit/forms.js";
import { consolePage, seeOther } from "../kit/page.js";
import { Go } from "../kit/parts.js";
import { allProviders } from "../kit/queries.js";
import { type PageRequest, refuseUnless, textsOf } from "../kit/request.js";
import { allKeys, isLiveKey } from "./callers.js";

const section = "/agents";
const grantPath = "/agents/grant";
const hourMs = 60 * 60_000;

type Choice = readonly [word: string, label: string, ms: number];
const ends: readonly Choice[] = [
  ["8h", "In 8 hours", 8 * hourMs],
  ["1h", "In an hour", hourMs],
  ["24h", "In a day", 24 * hourMs],
  ["7d", "In 7 days", 7 * 24 * hourMs],
];
const leases: readonly Choice[] = [
  ["", "No", 0],
  ["10m", "In 10 minutes, unless the agent renews it", 10 * 60_000],
  ["1h", "In an hour, unless the agent renews it", hourMs],
];

/** Ends all access of an agent at once, as `nexusd stop` does. */
export async function stopAgent(request: PageRequest): Promise<HttpAnswer> {
  const { name = "" } = request.params;
  if (!isOfKeys(name)) {
    await request.call(ApprovalService.method.stopPrincipal, { principal: name, lift: false });
    return seeOther(agentPath(name), "agent_stopped");
  }
  refuseUnless(request, "key.manage");
  const own = (await allKeys(request, false)).filter((key) => agentOf(keyPrincipalName(key.name)) === name);
  const live = own.filter((key) => isLiveKey(key, request.nowMs));
  if (live.length === 0) throw new NotFound("api_key");
  for (const key of live) {
    await request.call(AccessService.method.revokeApiKey, { key: { case: "name", value: key.name } });
  }
  return seeOther(agentPath(name), "agent_stopped");
}

export async function liftStop({ call, params }: PageRequest): Promise<HttpAnswer> {
  const { name = "" } = params;
  await call(ApprovalService.method.stopPrincipal, { principal: name, lift: true });
  return seeOther(agentPath(name), "stop_lifted");
}

/** The form of a grant: what `nexusd grant` asks. */
export async function grantPage(request: PageRequest, sent?: SentForm): Promise<HttpAnswer> {
  refuseUnless(request, "key.manage");
  const providers = await allProviders(request);
  const field = fieldsOf(sent ?? { form: request.query });
  const options = (all: readonly Choice[]) => all.map(([word, label]) => [word, label] as const);
  const fields = (
    <>
      <Input {...field("agent", "Agent", { required: true, maxLength: 31, at: "name" })} hint="For example claude: lowercase letters, digits, dashes, underscores." />
      <Select {...field("provider", "Provider", { at: "restriction.providers" })} options={providers.map(({ name }) => [name, name] as const)} />
      <Input {...field("user", "User", { required: true, maxLength: 256, at: "restriction.user_ids" })} hint="Whose connection it uses, for example ada." />
      <Select {...field("methods", "Requests", { at: "restriction.methods" })} options={[["read", "Only those that read"], ["all", "All"]]} hint="An agent that may only read gets no token: it sends its requests through nexusd." />
      <Select {...field("ends", "Ends", { at: "expires_at" })} options={options(ends)} />
      <Select {...field("lease", "Ends earlier", { at: "lease" })} options={options(leases)} />
    </>
  );
  return formPage(request, {
    ...{ title: "Grant access", section, action: grantPath, submit: "Grant access", cancel: section },
    ...{ fields, sent },
  });
}

/** The key is in the answer to this one request, and nowhere else. */
export async function grantAccess(request: PageRequest, form: URLSearchParams): Promise<HttpAnswer> {
  const { agent, provider, user, methods, ends: end, lease } = textsOf(form, ["agent", "provider", "user", "methods", "ends", "lease"]);
  try {
    if (!/^[a-z0-9][a-z0-9_-]{0,30}$/.test(agent)) throw refusedField("name", "has lowercase letters, digits, dashes, and underscores, at most 31");
    const lifeMs = chosen(ends, end, "expires_at");
    const leaseMs = chosen(leases, lease, "lease");
    const { key } = await request.call(AccessService.method.createApiKey, {
      ...{ name: `${agent}.${provider}.${randomBytes(3).toString("hex")}`, role: Role.AGENT },
      restriction: { userIds: [user], providers: [provider], methods: methods === "all" ? [] : [...readingMethods] },
      expiresAt: timestampFromMs(request.nowMs + lifeMs),
      ...(leaseMs > 0 && { lease: durationFromMs(leaseMs) }),
    });
    return grantedPage(request, agent, key);
  } catch (error) {
    return await grantPage(request, { form, errors: formErrors(error) });
  }
}

/** @throws InvalidArgument */
function chosen(all: readonly Choice[], given: string, field: string): number {
  const [, , ms] = all.find(([word]) => word === given) ?? [];
  if (ms === undefined) throw refusedField(field, "must be one of those that the form offers");
  return ms;
}

function refusedField(field: string, description: string): InvalidArgument {
  return new InvalidArgument([{ field, description }]);
}

function grantedPage(request: PageRequest, agent: string, key: string): HttpAnswer {
  const listens = request.settings().find(({ name }) => name === "NEXUS_EGRESS_LISTEN")?.value.split(",")[0]?.trim() ?? "";
  const isOpen = /^[^/]+:\d+$/.test(listens);
  const content = (
    <div class="card narrow">
      <p class="notice" role="status">This is the key of <bdi>{agent}</bdi>. nexusd shows it only now and keeps a digest of it.</p>
      <CopyField id="api-key" label={<>Key of <bdi>{agent}</bdi></>} value={key} />
      <CopyField id="proxy" label="For the agent's shell" value={`export HTTPS_PROXY="http://${key}@${isOpen ? listens : "127.0.0.1:8093"}"`} />
      {!isOpen && <p class="soft">nexusd has no egress listener yet: set <code>NEXUS_EGRESS_LISTEN=127.0.0.1:8093</code>.</p>}
      <p class="actions"><Go to={agentPath(keyPrincipalName(agent))} text="I have stored it" /></p>
    </div>
  );
  return consolePage(request, { title: "Access granted", section, content });
}
