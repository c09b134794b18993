import { keyPrefix } from "../../model/access/api_key.js";
import type { Permissions } from "../../model/access/permissions.js";
import type { Identity, Principal } from "../../model/access/principal.js";
import { type DescribedRequest, factsOf, ownLabelsOf } from "../../model/access/request_facts.js";
import { decide, explainRules, labelsSetBy, type Rule, type Ruling } from "../../model/access/rules.js";
import type { ConnectionFacts } from "../../model/access/scope_restriction.js";
import {
  FailedPrecondition,
  InvalidArgument,
  NexusError,
  PermissionDenied,
  Unavailable,
} from "../../model/errors.js";
import { type CallerTrace, traceIdOf, type Use } from "../../model/tracing.js";
import type { Changes } from "../../runtime/changes.js";
import type { Clock } from "../../runtime/clock.js";
import { type AccessControl, denied, type Sight } from "./access_control.js";
import type { LeadingRules } from "./leading_rules.js";
import type { SessionLabel, SessionMemory } from "./session_memory.js";
import type { LimitedUse, UseCounts } from "./use_limits.js";

/** What a token is for. */
export interface TokenPurpose {
  readonly trace?: CallerTrace | undefined;
  /** Undefined where the place does not show it. */
  readonly request: DescribedRequest | undefined;
  /** Of the caller that waits. */
  readonly signal: AbortSignal;
}

/** A request that a person must approve by a rule. */
export interface HeldRequest {
  readonly principal: Principal;
  readonly connection: ConnectionFacts;
  readonly request: DescribedRequest;
  readonly rule: Rule;
  /** Of the policy file that has the rule: a yes for longer counts for its rules alone. */
  readonly policyDigest: string;
  /** Of the session, when a person was asked. */
  readonly labels?: readonly SessionLabel[];
  /** For the record. */
  readonly use?: Use;
  readonly signal: AbortSignal;
}

/** Asks the people who may say yes. Resolves with the refusal, or with who agreed. */
export type AskApprovers = (held: HeldRequest) => Promise<NexusError | { readonly approver: string }>;

/**
 * Whether a caller gets a token: what the rules of the policy file, and the methods and paths of its restriction, say of the request that it
 * is for. Every place that gives a token away asks here.
 */
export class RequestRules {
  /** Takes back what was counted. */
  readonly #counted = new WeakMap<Use, () => void>();

  constructor(
    private readonly deps: {
      readonly access: AccessControl;
      readonly changes: Changes;
      readonly clock: Clock;
      /** Undefined without an approver: then a request that needs approval is denied. */
      readonly approver: () => AskApprovers | undefined;
      /** Undefined where no session has labels: a rule that sets them lets nothing go. */
      readonly memory: () => SessionMemory | undefined;
      /** Undefined where no use is counted: what is limited lets nothing go. */
      readonly uses: () => UseCounts | undefined;
      /** Decides what goes by earlier requests. Undefined where each daemon does by itself. */
      readonly leader?: LeadingRules | undefined;
    },
  ) {}

  /**
   * @returns for the record, when the caller may have the token at once; else a promise that resolves when it may, and rejects with
   * PermissionDenied, FailedPrecondition (USE_EGRESS, SHOW_BODY), ResourceExhausted (USES_EXHAUSTED), InvalidArgument for what servers read in several
   * ways, or Unavailable where earlier requests count and no leader answers
   */
  admit(principal: Principal, connectionId: string, asking?: TokenPurpose): Use | undefined | Promise<Use> {
    const judged = this.#judged(principal, connectionId, asking);
    const request =
      asking?.request && this.#isFollowed ? this.#believed(principal, asking.request) : undefined;
    // What is sent once more was let go before.
    if (!request || request.repeats) return judged;
    const told = <U extends Use | undefined>(use: U): U => {
      this.deps.changes.emit("requestLetGo", principal.name, connectionId, request);
      return use;
    };
    return judged instanceof Promise ? judged.then(told) : told(judged);
  }

  /** Whether anything hears of requests that are let go: then each of them is described. */
  get #isFollowed(): boolean {
    return this.deps.changes.listenerCount("requestLetGo") > 0;
  }

  #judged(
    principal: Principal,
    connectionId: string,
    asking?: TokenPurpose,
  ): ReturnType<RequestRules["admit"]> {
    const { requestRules, uses } = this.deps.access.permissionsFor(principal);
    // Most callers are under no rule: nothing of the connection is looked up for them.
    const isRuled = requestRules.length > 0;
    if (!isRuled && asking === undefined && !uses) return undefined;
    const request = this.#believed(principal, asking?.request);
    const traceId = traceIdOf(asking?.trace?.traceparent);
    const session = request?.session;
    const own = { ...(session !== undefined && { session }), ...(traceId !== undefined && { traceId }) };
    const { leader } = this.deps;
    if (leader && leader.place !== "here" && this.#isRemembered(principal, request))
      return this.#led(leader, { principal, connectionId, request, own, asking });
    const connection = isRuled ? this.deps.access.factsOf(connectionId) : undefined;
    const ruling = connection && this.#ruling(principal, connection, request);
    if (!connection || !ruling) {
      const counted = uses && this.#count(principal, undefined, own);
      return counted === undefined ? own : counted.then(() => own);
    }
    const use = { ...own, ...this.#ruleOf(ruling) };
    if (ruling.verdict === "allow") return this.#letGo(ruling, { principal, connection, request, use });
    const refusal = refusalOf(ruling, request);
    if (refusal || !request || !asking || !ruling.rule)
      return Promise.reject(refusedBy(refusal ?? denied("token.read"), use));
    const { rule } = ruling;
    const limits = this.#limitsOf(principal, rule);
    const reached = limits.length === 0 ? undefined : this.deps.uses()?.reached(limits);
    if (reached) return Promise.reject(refusedBy(reached, use));
    const policyDigest = this.deps.access.policy?.digest ?? "";
    const { signal } = asking;
    return this.#approved({ principal, connection, request, rule, policyDigest, use, signal });
  }

  /** Whether the verdict goes by earlier requests, or later ones go by this one: labels, and limits of uses. */
  #isRemembered(principal: Principal, request: DescribedRequest | undefined): boolean {
    const { access } = this.deps;
    const { requestRules, uses, role } = access.permissionsFor(principal);
    if (uses) return true;
    if (requestRules.length === 0 || readsAll(role, request)) return false;
    const isOfSession = request !== undefined && access.policy?.remembering !== undefined;
    return isOfSession || requestRules.some((rule) => rule.uses !== undefined);
  }

  /** As the leader decides. */
  async #led(
    leader: LeadingRules,
    asked: {
      readonly principal: Principal;
      readonly connectionId: string;
      readonly request: DescribedRequest | undefined;
      readonly own: Use;
      readonly asking: TokenPurpose | undefined;
    },
  ): Promise<Use> {
    const { principal, connectionId, request, own, asking } = asked;
    if (leader.place === "unsure") throw refusedBy(unsure(), own);
    const refusal = this.#restricted(principal, connectionId, request);
    if (refusal) throw refusedBy(refusal, { ...own, rule: "restriction" });
    const { access } = this.deps;
    const { requestRules } = access.permissionsFor(principal);
    const mayWait = request !== undefined && requestRules.some(({ verdict }) => verdict === "ask");
    const policyDigest = access.policy?.digest ?? "";
    const { traceId } = own;
    const led = { principal, connectionId, request, policyDigest, traceId, mayWait, signal: asking?.signal };
    const answer = await leader.admit(led).catch((error: unknown) => {
      throw error instanceof NexusError ? refusedBy(error, { ...own, ...error.use }) : error;
    });
    if (answer === "here") return (await this.#judged(principal, connectionId, asking)) ?? own;
    const use = { ...own, ...answer.use };
    this.#counted.set(use, answer.takeBack);
    return use;
  }

  /** What the restriction of the caller refuses here: the leader may have another one, until it has heard of this. */
  #restricted(
    principal: Principal,
    connectionId: string,
    request: DescribedRequest | undefined,
  ): NexusError | undefined {
    const { access, clock } = this.deps;
    const { requestRules, role } = access.permissionsFor(principal);
    const own = requestRules.filter(({ line }) => line === 0);
    const connection = own.length > 0 && access.factsOf(connectionId);
    if (!connection || readsAll(role, request)) return undefined;
    const ruling = decide(own, factsOf(principal.name, connection, request, clock.nowMs(), undefined));
    return ruling.verdict === "deny" ? refusalOf(ruling, request) : undefined;
  }

  /** Why rules about labels of sessions cannot be kept here; undefined where they can. */
  get labelRefusal(): string | undefined {
    const memory = this.deps.memory();
    return memory ? memory.refusal : "this daemon remembers nothing of sessions";
  }

  /** Why uses cannot be limited here; undefined where they can. */
  get useRefusal(): string | undefined {
    const uses = this.deps.uses();
    return uses ? uses.refusal : "this daemon counts no uses";
  }

  isCounted(use: Use | undefined): use is Use {
    return use !== undefined && this.#counted.has(use);
  }

  /** Nothing was obtained for a use that was admitted: it does not count. */
  takeBack(use: Use | undefined): void {
    if (use) this.#counted.get(use)?.();
  }

  #limitsOf({ name }: Principal, rule: Rule | undefined): LimitedUse[] {
    const { uses } = this.deps.access.permissionsOf(name);
    const ofKey = uses && { limit: uses, rule: "", what: `the API key ${name.slice(keyPrefix.length)}` };
    const ofRule = rule?.uses && {
      ...{ limit: rule.uses.limit, rule: rule.uses.id },
      what: `${wordsOf(rule)} for ${name}`,
    };
    return [ofKey ?? [], ofRule ?? []].flat().map((limited) => ({ principalName: name, ...limited }));
  }

  /** @returns undefined where nothing is limited; else it resolves when the use is counted for good */
  #count(principal: Principal, rule: Rule | undefined, use: Use): Promise<void> | undefined {
    const limits = this.#limitsOf(principal, rule);
    if (limits.length === 0) return undefined;
    const refusal = this.useRefusal;
    const counts = this.deps.uses();
    if (refusal !== undefined || !counts)
      return Promise.reject(refusedBy(new PermissionDenied(`uses are limited: ${refusal}`), use));
    return counts.take(limits).then(
      (takeBack) => void this.#counted.set(use, takeBack),
      (error: unknown) => {
        throw error instanceof NexusError ? refusedBy(error, use) : error;
      },
    );
  }

  /** The labels of the session of a caller, with the requests that set them. */
  labelsOf(principalName: string): readonly SessionLabel[] {
    return this.deps.memory()?.labelsOf(principalName) ?? [];
  }

  /** A request is sent: what it sets is durable before it has a credential. */
  #letGo(
    ruling: Ruling,
    {
      principal,
      connection,
      request,
      use,
    }: Pick<HeldRequest, "principal" | "connection"> & {
      readonly request: DescribedRequest | undefined;
      readonly use: Use;
    },
  ): Use | Promise<Use> {
    const { rule } = ruling;
    const memory = rule?.labels && this.deps.memory();
    if (rule?.labels && (!memory || !request || memory.refusal !== undefined)) {
      const why = memory?.refusal ?? "this daemon keeps no labels of sessions";
      return Promise.reject(refusedBy(new PermissionDenied(why), use));
    }
    const whole = { ...use, ...this.#shadowOf(ruling, connection) };
    const labels = rule?.labels && request ? labelsSetBy(rule, ownLabelsOf(request)) : [];
    const label = () =>
      request && labels.length > 0 ? memory?.add({ principal, connection, request, labels, use }) : undefined;
    const counted = this.#count(principal, rule, whole);
    const kept = counted === undefined ? label() : counted.then(label);
    if (kept === undefined) return whole;
    return kept.then(
      () => whole,
      (error: unknown) => {
        this.takeBack(whole);
        throw error;
      },
    );
  }

  /** Whether anything goes by the requests of this caller to a provider of this name. Where nothing does, a token for one need not show it. */
  looksAt(principal: Identity, providerName: string): boolean {
    if (this.#isFollowed) return true;
    const { requestRules } = this.deps.access.permissionsFor(principal);
    return requestRules.some(({ providers }) => providers?.has(providerName) ?? true);
  }

  /** What decides, for the record. */
  #ruleOf({ rule, verdict }: Ruling): Use {
    if (rule?.line === 0) return { rule: "restriction" };
    if (!rule && verdict === "allow") return {};
    return { rule: this.#placeOf(rule) };
  }

  /** Of a request that is let go. */
  #shadowOf({ shadow }: Ruling, { provider }: ConnectionFacts): Use {
    if (!shadow) return {};
    this.deps.changes.emit("shadowDenied", provider.name);
    return { shadow: this.#placeOf(shadow) };
  }

  #placeOf(rule: Rule | undefined): string {
    const line = rule ? `line ${rule.line}` : "no line";
    return `${line} of ${this.deps.access.policy?.digest.slice(0, 12)}`;
  }

  /**
   * What a caller sees of tokens that are sent unasked: those that it gets without showing a request.
   *
   * @param forUses a proxy sees all of them, to end what is open when its connection ends
   */
  tokenView(principal: Principal, forUses = false): Sight {
    const view = this.deps.access.viewOf(principal);
    const isLimited = this.deps.access.permissionsFor(principal).uses !== undefined;
    if (forUses && this.#isProxy(principal) && (principal.isProxied || !isLimited)) return view;
    const gives = (connectionId: string): boolean => {
      const { uses, requestRules } = this.deps.access.permissionsFor(principal);
      // Nobody would count what is sent unasked.
      if (uses) return false;
      if (requestRules.length === 0) return true;
      const connection = this.deps.access.factsOf(connectionId);
      const ruling = connection && this.#ruling(principal, connection, undefined);
      return !ruling || (ruling.verdict !== "deny" && ruling.rule?.uses === undefined);
    };
    return {
      get isRestricted() {
        return view.isRestricted;
      },
      seesConnection: (connection) => view.seesConnection(connection) && gives(connection.id),
      seesChange: (change) => view.seesChange(change) && gives(change.connectionId),
      seesProvider: (provider) => view.seesProvider(provider),
      epochOf: (epoch) => view.epochOf(epoch),
    };
  }

  /** Each rule that holds for the principal, and what it says of the request. */
  explain(principalName: string, connection: ConnectionFacts, request: DescribedRequest | undefined) {
    const { requestRules } = this.deps.access.permissionsOf(principalName);
    const labels = this.deps.memory() && new Set(this.labelsOf(principalName).map(({ label }) => label));
    const nowMs = this.deps.clock.nowMs();
    return explainRules(requestRules, factsOf(principalName, connection, request, nowMs, labels));
  }

  async #approved(held: HeldRequest): Promise<Use> {
    const { principal, connection, request, use = {} } = held;
    const ask = this.deps.approver();
    const labels = this.deps.access.policy?.remembering ? this.labelsOf(principal.name) : [];
    const answer = ask
      ? await ask({ ...held, ...(labels.length > 0 && { labels }) })
      : new PermissionDenied(`${wordsOf(held.rule)} has a person asked, and this daemon asks nobody`);
    if (answer instanceof NexusError) throw refusedBy(answer, use);
    // The rules, what the caller may, and who leads can have changed while it waited.
    this.deps.access.admit(principal, "token.read");
    const isLed = this.deps.leader !== undefined && this.#isRemembered(principal, request);
    if (isLed && this.deps.leader?.place !== "here") throw refusedBy(unsure(), use);
    const now = this.#ruling(principal, connection, request);
    const refusal = now?.verdict === "deny" ? refusalOf(now, request) : undefined;
    if (now && refusal) throw refusedBy(refusal, { ...use, ...this.#ruleOf(now) });
    const { policy } = this.deps.access;
    const policyDigest = policy?.digest ?? "";
    const isOther = now?.rule?.line !== held.rule.line || policyDigest !== held.policyDigest;
    // What another request of the session set meanwhile, or another policy asks, is another question.
    if (now?.verdict === "ask" && now.rule && isOther)
      return await this.#approved({
        ...{ ...held, rule: now.rule, policyDigest },
        use: { ...use, ...this.#ruleOf(now) },
      });
    const approved = { ...use, ...answer };
    return now ? await this.#letGo(now, { principal, connection, request, use: approved }) : approved;
  }

  /** Undefined where nothing is to be judged. */
  #ruling(
    principal: Identity,
    connection: ConnectionFacts,
    request: DescribedRequest | undefined,
  ): Ruling | undefined {
    const permissions = this.deps.access.permissionsFor(principal);
    if (readsAll(permissions.role, request)) return undefined;
    const { access, clock, memory } = this.deps;
    const labels = request && access.policy?.remembering && memory()?.recall(principal.name);
    const facts = factsOf(principal.name, connection, request, clock.nowMs(), labels);
    const ruling = decide(permissions.requestRules, facts);
    // A token that the caller keeps cannot be approved for each later use, and a label is set by a request.
    const isClosed = ruling.verdict === "ask" || (ruling.verdict === "allow" && ruling.rule?.labels);
    return request === undefined && isClosed ? { ...ruling, verdict: "deny", isClosed: true } : ruling;
  }

  /** An agent could show a request, and send another one with the token. */
  #believed(principal: Principal, request: DescribedRequest | undefined): DescribedRequest | undefined {
    return request && this.#isProxy(principal) ? request : undefined;
  }

  #isProxy({ name, isProxied }: Principal): boolean {
    const { access } = this.deps;
    const isNamed = access.policy?.proxies.has(name) ?? false;
    return isProxied === true || isNamed || access.permissionsOf(name).role === "admin";
  }
}

/** The owner and admins can read every token, whatever the rules of requests say. */
function readsAll(role: Permissions["role"], request: DescribedRequest | undefined): boolean {
  return request === undefined && role === "admin";
}

/** Another daemon may remember more by now. */
function unsure(): Unavailable {
  return new Unavailable(
    "this hub may not lead any more, and nothing was sent: send the request again",
    1_000,
  );
}

function refusedBy(refusal: NexusError, use: Use): NexusError {
  refusal.use = use;
  return refusal;
}

function refusalOf(ruling: Ruling, request: DescribedRequest | undefined): NexusError | undefined {
  const { verdict, rule, isClosed, wantsBody, unclear } = ruling;
  if (request === undefined && isClosed)
    return new FailedPrecondition(
      "USE_EGRESS",
      "this caller gets no token, because rules check each of its requests: send them through the egress listener or another proxy, or with nexusd run as the owner",
    );
  const needsBody = request !== undefined && request.body === undefined && (verdict === "ask" || wantsBody);
  if (needsBody) return new FailedPrecondition("SHOW_BODY", "the verdict on this request goes by its body");
  if (request !== undefined && unclear !== undefined) {
    const whose = rule === undefined ? "the rules of the policy file go" : `${wordsOf(rule)} goes`;
    const description = `servers read ${unclear} in several ways, and ${whose} by it: send it in its plain form`;
    return new InvalidArgument([{ field: "request", description }]);
  }
  if (verdict === "ask") return undefined;
  if (rule === undefined) return new PermissionDenied("no rule of the policy file allows this request");
  const closed = isClosed ? " (it asks for what is not shown of the request)" : "";
  return new PermissionDenied(`${wordsOf(rule)} denies this request${closed}${reasonOf(rule)}`);
}

export function wordsOf({ line }: Rule): string {
  return line === 0 ? "the restriction of this caller" : `the rule in line ${line} of the policy file`;
}

function reasonOf({ because }: Rule): string {
  return because === "" ? "" : `: ${because}`;
}
