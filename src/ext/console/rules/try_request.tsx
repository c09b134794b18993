import { AccessService, AccessVerdict, type ExplainAccessResponse, type RuleMatch } from "../../../gen/nexus/v1/access_pb.js";
import { agentOf, keyPrincipalName, useLimitText } from "../../../model/access/access.js";
import type { HttpAnswer } from "../../../server/kit.js";
import { Input, Select, type View } from "../../../server/pages/kit.js";
import { useLimitOf } from "../../../service/messages/messages.js";
import { allKeys, isLiveKey } from "../agents/callers.js";
import { fieldsOf, formErrors, formPage, type SentForm } from "../kit/forms.js";
import { Card, Chip, type Tone } from "../kit/parts.js";
import { allProviders } from "../kit/queries.js";
import { type PageRequest, refuseUnless, textsOf } from "../kit/request.js";
import { roleWords } from "../kit/words.js";
import { Effect, rulesPath, tryPath } from "./rules.js";

/** Keys of one agent that are asked about. */
const maxPrincipals = 5;

/** What the daemon would do with a request that nobody sends. What is typed stays out of the address: a URL may hold a secret. */
export async function tryPage(request: PageRequest, sent?: Partial<SentForm>, verdicts?: View): Promise<HttpAnswer> {
  refuseUnless(request, "policy.read");
  const { form = request.query, errors } = sent ?? {};
  const providers = await allProviders(request);
  const field = fieldsOf({ form, ...(errors && { errors }) });
  const fields = (
    <>
      <Input {...field("principal", "Agent", { required: true, maxLength: 2053 })} hint="For example claude, one of its keys, or jwt:system:serviceaccount:agents:research." />
      <Select {...field("provider", "Provider", { at: "resource.provider" })} options={providers.map(({ name }) => [name, name] as const)} />
      <Input {...field("user", "User", { at: "resource.user_id", required: true, maxLength: 256 })} hint="Whose connection it uses, for example ada." />
      <Input {...field("method", "Method", { at: "request.method", value: "GET", required: true, maxLength: 40 })} />
      <Input {...field("url", "URL", { at: "request.url", required: true, maxLength: 16_384 })} hint="For example api.github.com/repos/acme/app/issues." />
    </>
  );
  return formPage(request, {
    ...{ title: "Try a request", section: rulesPath, action: tryPath, submit: "Try", cancel: rulesPath, fields },
    ...{ refused: "The request was not tried.", sent: errors && { form, errors } },
    aside: <div>{verdicts ?? notSent()}</div>,
  });
}

function notSent() {
  return (
    <Card id="about-title" title="Nothing is sent">
      <p>nexusd says what its policy decides about this request, and which rule does, as <code>nexusd policy explain</code> does.</p>
      <p class="soft">Headers and body are not part of it: a rule that asks for them shows as unknown.</p>
    </Card>
  );
}

export async function tryRequest(request: PageRequest, form: URLSearchParams): Promise<HttpAnswer> {
  const { principal: name, provider, user: userId, method, url } = textsOf(form, ["principal", "provider", "user", "method", "url"]);
  try {
    const asked = {
      ...{ action: "token.read", resource: { provider, userId } },
      request: { method, url: /^https?:\/\//.test(url) ? url : `https://${url}` },
    };
    const verdicts: View[] = [];
    for (const principal of await principalsOf(request, name))
      verdicts.push(verdictCard(principal, await request.call(AccessService.method.explainAccess, { principal, ...asked }), verdicts.length));
    return await tryPage(request, { form }, verdicts);
  } catch (error) {
    return await tryPage(request, { form, errors: formErrors(error) });
  }
}

/** A name without a kind is that of a key, or of an agent with grants, each of which is a key with limits of its own. */
async function principalsOf(request: PageRequest, name: string): Promise<readonly string[]> {
  if (name.includes(":") || name === "owner" || name === "admin") return [name];
  const own = keyPrincipalName(name);
  const live = (await allKeys(request, false)).filter((key) => isLiveKey(key, request.nowMs)).map((key) => keyPrincipalName(key.name));
  const granted = live.filter((each) => agentOf(each) === own);
  return live.includes(own) || granted.length === 0 ? [own] : granted.slice(0, maxPrincipals);
}

interface TriedVerdict {
  readonly text: string;
  readonly tone: Tone;
  /** What decides. */
  readonly by: View;
}

function verdictCard(principal: string, answer: ExplainAccessResponse, index: number): View {
  const { text, tone, by } = verdictOf(answer);
  const { verdict, role, rule, line, rules, labels, warnings } = answer;
  const shadow = shadowOf(answer);
  return (
    <Card id={`verdict-${index}`} title={<><Chip tone={tone}>{text}</Chip> <bdi>{principal}</bdi></>}>
      <p>Decided by {by}</p>
      {shadow && <p>Line {shadow.line}, in shadow, would deny it.</p>}
      {verdict !== AccessVerdict.DENIED && <p class="soft">{roleWords[role]}: <bdi>{placed(line, rule)}</bdi></p>}
      {labels.length > 0 && <p>Its session is labeled <bdi>{labels.map(({ label }) => label).join(", ")}</bdi>.</p>}
      {warnings.length > 0 && <ul class="tasks">{warnings.map((warning) => <li><bdi>{warning}</bdi></li>)}</ul>}
      {rules.length > 0 && <ol class="judged">{rules.map(ruleItem)}</ol>}
    </Card>
  );
}

/** What may not have a token gets none for a request, whatever the rules say of it. */
export function verdictOf({ verdict, requestVerdict, rule, line, rules }: ExplainAccessResponse): TriedVerdict {
  if (verdict === AccessVerdict.DENIED)
    return { text: "Denied", tone: "bad", by: <bdi>{placed(line, rule)}</bdi> };
  const decisive = rules.find(({ decides }) => decides);
  const by = decisive && <bdi>{placeOf(decisive)}{decisive.because !== "" && `: ${decisive.because}`}</bdi>;
  if (requestVerdict === "ask") return { text: "A person is asked", tone: "warn", by };
  if (requestVerdict === "deny") return { text: "Denied", tone: "bad", by: by ?? "the file, since no rule allows it" };
  return { text: "Allowed", tone: "good", by: by ?? "nothing: no rule is about it" };
}

/** The first rule in shadow that would have decided. */
function shadowOf({ verdict, requestVerdict, rules }: ExplainAccessResponse): RuleMatch | undefined {
  const decisive = rules.findIndex(({ decides }) => decides);
  const before = decisive < 0 ? rules : rules.slice(0, decisive);
  const isDenied = verdict === AccessVerdict.DENIED || requestVerdict === "deny";
  return isDenied ? undefined : before.find(({ shadow, match }) => shadow && match !== "no");
}

const matchWords: Readonly<Record<string, string>> = {
  yes: "matches",
  no: "does not match",
  unknown: "asks for what is not shown, or what servers read in several ways",
};

function ruleItem(rule: RuleMatch): View {
  const { match, decides, because } = rule;
  const limit = useLimitOf(rule.uses);
  return (
    <li aria-current={decides ? "true" : undefined} class={match === "no" ? "soft" : undefined}>
      {rule.line === 0 ? "Restriction of its key" : `Line ${rule.line}`} <Effect verdict={rule.verdict} shadow={rule.shadow} /> {matchWords[match] ?? match}{decides && <b>, and decides</b>}
      {because !== "" && <span class="soft block"><bdi>{because}</bdi></span>}
      {limit && <span class="soft block">{useLimitText(limit)} for each agent</span>}
    </li>
  );
}

function placeOf({ line }: RuleMatch): string {
  return line === 0 ? "the restriction of its key" : `line ${line}`;
}

/** What a caller may, which the file or a key says. */
function placed(line: number, rule: string): string {
  return line > 0 ? `line ${line}: ${rule}` : rule;
}
