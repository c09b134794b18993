import { durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type GetPolicyResponse, type PolicyRule, PolicyService } from "../../../gen/nexus/v1/policy_pb.js";
import { describeRestriction, restrictionFrom, useLimitText } from "../../../model/access/access.js";
import { formatCount, formatDuration } from "../../../model/model.js";
import type { HttpAnswer } from "../../../server/kit.js";
import type { View } from "../../../server/pages/kit.js";
import { useLimitOf } from "../../../service/messages/messages.js";
import { warningsOf } from "../agents/agents.js";
import { consolePage } from "../kit/page.js";
import { Card, Chip, Empty, Go, Moment, Table, type TableRow, type Tone, utcOf } from "../kit/parts.js";
import type { PageRequest } from "../kit/request.js";
import { roleWords } from "../kit/words.js";
import { matchDays, type RuleCounts, ruleCounts } from "./matches.js";

export const rulesPath = "/rules";
export const tryPath = `${rulesPath}/try`;

/** The policy file in force: each rule with what it says and how often it decided, and who has which role. */
export async function rulesPage(request: PageRequest): Promise<HttpAnswer> {
  const policy = await request.call(PolicyService.method.getPolicy, {});
  const { digest, rules, bindings } = policy;
  const content = digest === "" ? nothing() : (
    <>
      {await warningsOf(request)}
      <Card id="rules-title" title="Rules for requests">
        {rules.length === 0 ? <p class="soft">The policy file has no rules: requests are not judged.</p> : await rulesOf(request, policy)}
      </Card>
      <Card id="bindings-title" title="Roles">
        {bindings.length === 0 ? <p class="soft">The policy file binds nobody: API keys have the role that they were created with.</p> : bindingsOf(policy)}
        {policy.proxies.length > 0 && <p>May describe requests of others: <bdi>{policy.proxies.join(", ")}</bdi></p>}
      </Card>
    </>
  );
  const actions = digest !== "" && <Go to={tryPath} text="Try a request" />;
  return consolePage(request, { title: "Rules", section: rulesPath, content, actions });
}

function nothing() {
  return (
    <Empty title="No policy file is in force" command="nexusd policy check policy.yaml">
      <p>The rules of a policy file allow, deny, or hold for a person what agents request. Name it in <code>NEXUS_POLICY_FILE</code>, and restart nexusd.</p>
    </Empty>
  );
}

async function rulesOf(request: PageRequest, { digest, rules }: GetPolicyResponse) {
  const counts = request.may("audit.read") ? await ruleCounts(request, digest) : undefined;
  const counted = counts ? [`Decided, ${matchDays} days`, "Last"] : [];
  return (
    <>
      <p class="soft">The first rule that matches decides. A request that matches none is denied, unless no rule is for its provider.</p>
      <Table
        caption="Rules, in order"
        columns={["Rule", "Effect", "Providers", "When", ...counted]}
        rows={rules.map((rule) => rowOf(request, rule, counts))}
      />
      {counts && sourceOf(counts, digest)}
    </>
  );
}

function rowOf({ nowMs }: PageRequest, rule: PolicyRule, counts: RuleCounts | undefined): TableRow {
  const { line, because, providers } = rule;
  const { count, lastMs } = counts?.byLine.get(line) ?? { count: 0, lastMs: 0 };
  return {
    id: `rule-${line}`,
    cells: [
      <>Line {line}{because !== "" && <span class="soft block"><bdi>{because}</bdi></span>}</>,
      effectOf(rule),
      <bdi>{providers.length === 0 ? "All" : providers.join(", ")}</bdi>,
      conditionOf(rule),
      ...(counts ? [formatCount(count), lastMs > 0 && <Moment time={timestampFromMs(lastMs)} nowMs={nowMs} />] : []),
    ],
  };
}

const effects: Readonly<Record<string, readonly [text: string, Tone]>> = {
  allow: ["Allow", "good"],
  ask: ["Ask a person", "warn"],
  deny: ["Deny", "bad"],
};

export function Effect({ verdict, shadow }: Pick<PolicyRule, "verdict" | "shadow">) {
  const [text, tone] = effects[verdict] ?? [verdict, "idle"];
  if (!shadow) return <Chip tone={tone}>{text}</Chip>;
  return <Chip tone="idle" title="It only records the requests that it would deny">{text}, in shadow</Chip>;
}

function effectOf({ verdict, shadow, labels, uses, extents, hold, approvers }: PolicyRule): View {
  const limit = useLimitOf(uses);
  const more = [
    ...(hold ? [`waits for ${formatDuration(durationMs(hold))}`] : []),
    ...(approvers > 1 ? [`needs ${approvers} approvers`] : []),
    ...(extents.length > 0 ? [`also for ${extents.map((each) => extentTexts[each] ?? each).join(" or ")}`] : []),
    ...(labels.length > 0 ? [`labels the session ${labels.join(", ")}`] : []),
    ...(limit ? [`${useLimitText(limit)} for each agent`] : []),
  ];
  return <><Effect verdict={verdict} shadow={shadow} />{more.map((text) => <span class="soft block"><bdi>{text}</bdi></span>)}</>;
}

const extentTexts: Readonly<Record<string, string>> = { session: "the session", hour: "an hour" };

/** In words, where there are some, over what counts. */
function conditionOf({ condition, description }: PolicyRule): View {
  if (condition === "") return "Always";
  return <>{description !== "" && <span class="block"><bdi>{description}</bdi></span>}<code class="request soft">{condition}</code></>;
}

function sourceOf({ readSinceMs }: RuleCounts, digest: string): View {
  return (
    <p class="soft">
      Requests that a rule decided, or in shadow would have denied, from the audit log, since this version of the file (<code>{digest.slice(0, 12)}</code>) is in force.
      {readSinceMs !== undefined && <> There are too many for one page: they are counted since <b>{utcOf(readSinceMs)}</b>.</>}
    </p>
  );
}

function bindingsOf({ bindings }: GetPolicyResponse) {
  const rows = bindings.map(({ line, principals, role, restriction }) => ({
    cells: [
      <bdi>{principals.join(", ")}</bdi>,
      roleWords[role],
      <bdi>{restriction ? describeRestriction(restrictionFrom(restriction)) : ""}</bdi>,
      `Line ${line}`,
    ],
  }));
  return <Table caption="Roles, in order" columns={["Principals", "Role", "Restricted to", "Binding"]} rows={rows} />;
}
