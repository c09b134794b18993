import {
  type Answer,
  error,
  failures,
  json,
  losses,
  type Outcome,
  oddly,
  type Reply,
  unseen,
} from "./hostile_answers.js";
import { ProofCheck } from "./proof_check.js";
import { ProviderLoad } from "./provider_load.js";

export type { Answer, Outcome } from "./hostile_answers.js";
export { answers } from "./hostile_answers.js";

interface Grant {
  holder: string;
  readonly provider: string;
  /** The refresh token that is good now. */
  current: string;
  dead: boolean;
  /** That its tokens are bound to; undefined where none is demanded. */
  readonly key: string | undefined;
  /** It was given to another system, which says nothing of how often its token was sent. */
  readonly isForeign?: boolean;
}

const exchanged = { issued_token_type: "urn:ietf:params:oauth:token-type:access_token" };
const refusals: ReadonlySet<Answer> = new Set([
  "invalid_grant",
  "consent_revoked",
  "invalid_client",
  "invalid_scope",
  "no_code",
]);

interface Redemption {
  /** Whether whoever asked could have learnt of it: not when the answer was dropped, or its asker died. */
  lost: boolean;
  /** How often the redeemed token was presented again. */
  replays: number;
}

/**
 * An authorization server that does what real ones do at their worst: it rotates refresh tokens, takes a redeemed one that comes
 * again for theft and revokes the family (RFC 9700 section 4.14.2), and answers each request as the script says. It counts
 * everything, and writes down what no client of it may do.
 */
export class HostileServer {
  readonly #grants = new Map<string, Grant>();
  readonly #redemptions = new Map<string, Redemption>();
  /** By access token: who it was issued to. */
  readonly #issued = new Map<string, Pick<Grant, "holder">>();
  readonly #condemned = new Set<string>();
  readonly #presented = new Map<string, number>();
  readonly #arrived = new Map<string, number>();
  readonly #dropped = new Map<string, number>();
  readonly #inFlight = new Map<string, number>();
  readonly #held = new Set<() => void>();
  /** By provider: the holders for whom it refused the client. */
  readonly #refused = new Map<string, Set<string>>();
  /** By token: how often it was answered by a refusal that does not name it. */
  readonly #refusals = new Map<string, number>();
  #count = 0;
  /** What no client may do, in words. */
  readonly violations: string[] = [];
  readonly load: ProviderLoad;
  requests = 0;
  refreshes = 0;
  /** Redeemed tokens that came again although nothing had been lost, or a second time. */
  doubleRedemptions = 0;
  /** Redeemed tokens that came again once, after their answer was lost. */
  probes = 0;
  /** How the next refresh of this provider is answered. @param isOwn of a grant that no other system had */
  script: (provider: string, holder: string, isOwn?: boolean) => Answer = () => "rotate";

  /** Providers that say `unauthorized_client` of a dead refresh token, as Gitea and Forgejo do. */
  readonly blamesClient = new Set<string>();

  /** Providers that give the successor of a redeemed token once more to whoever lost it (a grace period). */
  readonly forgives = new Set<string>();

  /** By provider: how the next connections to it end that do not open; all others do. */
  readonly unopened = new Map<string, ("refuse" | "hang")[]>();

  /** Which providers demand proofs of a key. */
  readonly proofs = new ProofCheck();

  /** Of the access tokens. */
  lifetimeSeconds = 3600;

  constructor(cap: number = Number.POSITIVE_INFINITY) {
    this.load = new ProviderLoad(cap, this.violations);
  }

  /**
   * One token request. The code of a code exchange is the name of the holder, and so is the scope of a client's own token.
   *
   * @param isHeard whether the one who asks is still there
   * @param proof the header `DPoP`
   */
  async handle(
    provider: string,
    form: URLSearchParams,
    isHeard: () => boolean = () => true,
    proof?: string,
  ): Promise<Outcome> {
    this.requests++;
    const sent = form.get("refresh_token") ?? "";
    this.#arrived.set(sent, this.timesArrived(sent) + 1);
    const proved = this.#proved(provider, proof);
    // Refused for its proof, before anything is looked at: nothing was presented.
    if (proved && "status" in proved) return proved;
    if (form.get("grant_type") === "authorization_code") {
      const holder = form.get("code") ?? "";
      return await this.#alone(holder, provider, async () => this.#exchange(provider, holder, proved?.key));
    }
    if (form.get("grant_type") === "client_credentials") {
      const holder = form.get("scope") ?? "";
      return await this.#alone(holder, provider, () => this.#mint(provider, holder));
    }
    if (form.get("grant_type") === "urn:ietf:params:oauth:grant-type:token-exchange")
      return await this.#exchangeToken(provider, form.get("subject_token") ?? "");
    const token = form.get("refresh_token") ?? "";
    const grant = this.#grants.get(token);
    if (!grant) {
      this.violations.push(`a token that was never issued came: ${token}`);
      return error(400, "invalid_grant");
    }
    if (grant.key !== proved?.key) this.violations.push(`I10: ${grant.holder} proved another key`);
    this.refreshes++;
    return await this.#alone(grant.holder, provider, () => this.#refresh(grant, token, isHeard));
  }

  /** Opens a connection. @returns false when it did not open; one that hangs fails when it is released */
  async connect(provider: string): Promise<boolean> {
    const ending = this.unopened.get(provider)?.shift();
    if (ending === "hang") await new Promise<void>((resolve) => this.#held.add(resolve));
    return ending === undefined;
  }

  /** Whoever redeemed the token died before it could write down what it got. */
  lose(token: string): void {
    const redemption = this.#redemptions.get(token);
    if (redemption) redemption.lost = true;
  }

  /** Lets slow answers go, and connections that hang. */
  release(): void {
    for (const go of [...this.#held]) go();
    this.#held.clear();
  }

  get held(): number {
    return this.#held.size;
  }

  /** Grants another system what an import brings. @returns its refresh token */
  grantElsewhere(provider: string, holder: string): string {
    return this.#newToken({ holder, provider, current: "", dead: false, key: undefined, isForeign: true });
  }

  /** The holder of the grant of `token` has another name from now on. */
  rename(token: string, holder: string): void {
    const grant = this.#grants.get(token);
    if (!grant) return;
    for (const refused of this.#refused.values()) if (refused.delete(grant.holder)) refused.add(holder);
    grant.holder = holder;
  }

  /** The person, or the provider, ends every grant of the holder. */
  revoke(holder: string): void {
    for (const grant of this.#grants.values()) if (grant.holder === holder) grant.dead = true;
  }

  /** Whether the token would be redeemed. */
  isGood(token: string): boolean {
    const grant = this.#grants.get(token);
    if (grant === undefined || grant.dead) return false;
    return grant.current === token || this.#isForgiven(grant, token);
  }

  /** Whether it was redeemed and its successor issued. */
  isRedeemed(token: string): boolean {
    return this.#redemptions.has(token);
  }

  isLost(token: string): boolean {
    return this.#redemptions.get(token)?.lost === true;
  }

  /** Whether anybody was told that the token is of no use. */
  isCondemned(token: string): boolean {
    return this.#condemned.has(token);
  }

  timesPresented(token: string): number {
    return this.#presented.get(token) ?? 0;
  }

  /** How often it came, in requests that were refused for their proof too. */
  timesArrived(token: string): number {
    return this.#arrived.get(token) ?? 0;
  }

  /** How often it was presented and no answer that can be used was given. */
  timesDropped(token: string): number {
    return this.#dropped.get(token) ?? 0;
  }

  holderOf(accessToken: string): string | undefined {
    return this.#issued.get(accessToken)?.holder;
  }

  /** The newest refresh token of the family that `token` belongs to. */
  newestOf(token: string): string | undefined {
    return this.#grants.get(token)?.current;
  }

  /** The holders for whom the provider refused the client. */
  clientRefusals(provider: string): ReadonlySet<string> {
    return this.#refused.get(provider) ?? new Set();
  }

  timesRefused(token: string): number {
    return this.#refusals.get(token) ?? 0;
  }

  inFlightOf(holder: string): number {
    return this.#inFlight.get(holder) ?? 0;
  }

  /** It may run beside a refresh of the same holder, and no answer to it ends anything. */
  async #exchangeToken(provider: string, subjectToken: string): Promise<Outcome> {
    const { holder = "" } = this.#issued.get(subjectToken) ?? {};
    if (holder === "") this.violations.push("I10: an access token that was never issued was exchanged");
    return await this.load.run(provider, async () => {
      const answer = this.script(provider, holder);
      if (answer === "refuse_connection") return "refused";
      if (answer === "slow") await new Promise<void>((resolve) => this.#held.add(resolve));
      return (
        losses.get(answer) ??
        failures[answer] ??
        json({ ...this.#issue({ holder, key: undefined }, undefined), ...exchanged })
      );
    });
  }

  async #alone(holder: string, provider: string, act: () => Promise<Outcome>): Promise<Outcome> {
    const count = (by: number): void => void this.#inFlight.set(holder, this.inFlightOf(holder) + by);
    count(1);
    if (this.inFlightOf(holder) > 1) this.violations.push(`I1: two requests at once for ${holder}`);
    try {
      return await this.load.run(provider, act);
    } finally {
      count(-1);
    }
  }

  #proved(provider: string, proof: string | undefined): { readonly key: string } | Reply | undefined {
    try {
      return this.proofs.judge(provider, proof);
    } catch (violation) {
      this.violations.push(`I10: ${provider}: ${(violation as Error).message}`);
      return error(400, "invalid_dpop_proof");
    }
  }

  #exchange(provider: string, holder: string, key: string | undefined): Outcome {
    const grant: Grant = { holder, provider, current: "", dead: false, key };
    return json(this.#issue(grant, this.#newToken(grant)));
  }

  async #mint(provider: string, holder: string): Promise<Outcome> {
    const answer = this.script(provider, holder);
    if (answer === "refuse_connection") return "refused";
    if (answer === "slow") await new Promise<void>((resolve) => this.#held.add(resolve));
    if (unseen.has(answer)) return losses.get(answer) as Outcome;
    const failure = failures[answer];
    if (failure) {
      // Whatever it is called, there is nobody whom it could be about but the client.
      if (refusals.has(answer)) this.#blame(provider, holder);
      return failure;
    }
    const members = this.#issue({ holder, key: undefined }, undefined);
    return losses.get(answer) ?? (answer === "odd" ? oddly(members, this.#count) : json(members));
  }

  async #refresh(grant: Grant, token: string, isHeard: () => boolean): Promise<Outcome> {
    const { provider } = grant;
    const answer = this.script(provider, grant.holder, !grant.isForeign);
    if (answer === "refuse_connection") return "refused";
    this.#presented.set(token, this.timesPresented(token) + 1);
    if (this.timesDropped(token) > 1 && !grant.isForeign)
      this.violations.push(`I2: ${grant.holder} sent ${token} again, and two answers to it were lost`);
    const loss = losses.get(answer);
    const lose = (lost: Outcome): Outcome => {
      this.#dropped.set(token, this.timesDropped(token) + 1);
      return lost;
    };
    if (answer === "slow") await new Promise<void>((resolve) => this.#held.add(resolve));
    if (loss && unseen.has(answer)) return lose(loss);
    const failure = failures[answer];
    if (failure) {
      if (answer === "invalid_grant" || answer === "consent_revoked") {
        this.#condemned.add(token);
        grant.dead = true;
      }
      if (answer === "no_code") this.#refusals.set(token, this.timesRefused(token) + 1);
      if (answer === "invalid_client" || answer === "invalid_scope") this.#refuseClient(grant, token);
      return failure;
    }
    const isForgiven = !grant.dead && this.#isForgiven(grant, token);
    if (grant.dead || (grant.current !== token && !isForgiven)) return this.#refuse(grant, token);
    if (answer === "keep" && !isForgiven) {
      // Whoever hears that it is still good counts from there.
      if (isHeard()) this.#dropped.delete(token);
      return json(this.#issue(grant, undefined));
    }
    const members = this.#issue(grant, isForgiven ? grant.current : this.#newToken(grant));
    if (isForgiven) this.probes++;
    this.#redemptions.set(token, { lost: loss !== undefined || !isHeard(), replays: isForgiven ? 1 : 0 });
    if (loss) return lose(loss);
    // The next refresh token, and nothing else: who throws it away sends the redeemed one again.
    if (answer === "hollow") return json({ ...members, access_token: "" });
    return answer === "odd" ? oddly(members, this.#count) : json(members);
  }

  /** Within the grace period, and nothing has been done with the successor. */
  #isForgiven({ provider, current }: Grant, token: string): boolean {
    const redemption = this.#redemptions.get(token);
    const isUnused = redemption?.lost === true && redemption.replays === 0;
    return isUnused && this.forgives.has(provider) && !this.#redemptions.has(current);
  }

  #refuse(grant: Grant, token: string): Outcome {
    const redemption = this.#redemptions.get(token);
    if (redemption) {
      redemption.replays++;
      if (redemption.lost && (redemption.replays === 1 || grant.isForeign)) {
        this.probes++;
      } else {
        this.doubleRedemptions++;
        this.violations.push(`I2: ${grant.holder} sent a redeemed token again, time ${redemption.replays}`);
      }
    }
    grant.dead = true;
    this.#condemned.add(token);
    if (!this.blamesClient.has(grant.provider)) return error(400, "invalid_grant");
    this.#refuseClient(grant, token);
    return error(400, "unauthorized_client");
  }

  #refuseClient({ provider, holder }: Grant, token: string): void {
    this.#refusals.set(token, this.timesRefused(token) + 1);
    this.#blame(provider, holder);
  }

  #blame(provider: string, holder: string): void {
    this.#refused.set(provider, (this.#refused.get(provider) ?? new Set()).add(holder));
  }

  #newToken(grant: Grant): string {
    const token = `rt-${++this.#count}`;
    grant.current = token;
    this.#grants.set(token, grant);
    return token;
  }

  #issue(grant: Pick<Grant, "holder" | "key">, refreshToken: string | undefined): Record<string, unknown> {
    const accessToken = `at-${++this.#count}`;
    this.#issued.set(accessToken, grant);
    return {
      access_token: accessToken,
      token_type: grant.key === undefined ? "Bearer" : "DPoP",
      expires_in: this.lifetimeSeconds,
      ...(refreshToken === undefined ? {} : { refresh_token: refreshToken }),
    };
  }
}
