import {
  type BegunSignIn,
  type SignedIn,
  type SignIn,
  type SignInClient,
  type SignInFailure,
  type SignInFailureReason,
  type SignInRequest,
  type SignInResponse,
  StartRefused,
} from "../../../core/registry.js";
import type { Principal } from "../../../model/access/access.js";
import { GrantFailure, processAuthorizationResponse } from "../../../oauth/oauth.js";
import {
  createOutboundFetch,
  type ProviderNetworks,
  type WebProxySettings,
} from "../../../outbound/outbound.js";
import type { Clock, Log } from "../../../runtime/runtime.js";
import type { NamedIssuer } from "../issuers_document.js";
import type { JwtConfig } from "../jwt_settings.js";
import { principalOf } from "../jwt_verifier.js";
import { type Binding, Bindings, bindingLifeMs } from "./bindings.js";
import {
  IssuerClient,
  type IssuerClientDeps,
  IssuerUnavailable,
  readSecret,
  type SignInIssuer,
} from "./issuer_client.js";

/** A person waits for the page. */
const tokenTimeoutMs = 15_000;
/** Exchanges at once, of all issuers: nobody is known before. */
const maxExchanges = 20;

type Claims = Readonly<Record<string, unknown>>;

/** Signs people in at the issuers of the file. Those with one issuer and audience are one client: the first whose claims a person has counts. */
export class SignIns implements SignIn {
  readonly clients: readonly SignInClient[];
  readonly #byName: ReadonlyMap<string, IssuerClient>;
  readonly #bindings: Bindings;
  #exchanges = 0;

  constructor(
    private readonly issuers: readonly SignInIssuer[],
    private readonly deps: IssuerClientDeps,
  ) {
    const firsts = issuers.filter((issuer) => issuers.find((each) => isSameClient(each, issuer)) === issuer);
    this.clients = firsts.map(({ name, issuer, signIn }) => ({ name, issuer, title: signIn.title }));
    this.#byName = new Map(firsts.map((issuer) => [issuer.name, new IssuerClient(issuer, deps)]));
    this.#bindings = new Bindings(deps.clock);
  }

  async begin(client: SignInClient, request: SignInRequest): Promise<BegunSignIn | SignInFailure> {
    const { cookie, binding } = this.#bindings.make(client.name, request.returnTo);
    try {
      const url = await this.#clientOf(client).authorizationUrl(binding, request.redirectUri);
      return { kind: "begun", url, binding: cookie, bindingLifeMs };
    } catch (error) {
      return this.#failure(client, error);
    }
  }

  async finish(client: SignInClient, response: SignInResponse): Promise<SignedIn | SignInFailure> {
    const binding = response.binding === undefined ? undefined : this.#bindings.take(response.binding);
    // A response that comes back to the address of another issuer is of another one (RFC 9700 section 4.4.2.2).
    if (binding?.client !== client.name) return failed("over");
    if (this.#exchanges >= maxExchanges) return failed("busy");
    this.#exchanges++;
    try {
      const { query, redirectUri } = response;
      const known = this.#clientOf(client);
      const server = await known.server();
      const opened = await known.opened(query);
      const judged =
        "kind" in opened
          ? opened
          : processAuthorizationResponse(server, known.config.audience, opened, binding.state);
      if (judged.kind === "error") return this.#refused(client, "declined", judged.error);
      if (judged.kind === "invalid")
        return this.#refused(client, judged.reason === "state_mismatch" ? "over" : "rejected", judged.reason);
      return this.#identify(client, binding, await known.claims(judged.params, binding, redirectUri));
    } catch (error) {
      return this.#failure(client, error);
    } finally {
      this.#exchanges--;
    }
  }

  #clientOf({ name }: SignInClient): IssuerClient {
    const client = this.#byName.get(name);
    if (client === undefined) throw new Error(`nobody signs in at ${name}`);
    return client;
  }

  #identify(client: SignInClient, binding: Binding, claims: Claims): SignedIn | SignInFailure {
    const nowMs = this.deps.clock.nowMs();
    const first = this.#clientOf(client).config;
    const candidates = this.issuers.filter((issuer) => isSameClient(issuer, first));
    const judged = candidates.map((issuer) => ({ issuer, who: whoIs(claims, issuer) }));
    for (const { issuer, who } of judged) {
      if (typeof who === "string") continue;
      const principal = { ...who, expiresAtMs: nowMs + issuer.signIn.sessionMs };
      return { kind: "signed_in", principal, returnTo: binding.returnTo };
    }
    const reasons = judged.map(({ issuer, who }) => `${issuer.name}: ${String(who)}`);
    const { sub } = claims;
    const subject = typeof sub === "string" ? { subject: sub } : {};
    return { ...this.#refused(client, "no_claims", reasons.join("; ")), ...subject };
  }

  #failure(client: SignInClient, error: unknown): SignInFailure {
    if (error instanceof IssuerUnavailable) return this.#refused(client, "unavailable", error.message);
    if (!(error instanceof GrantFailure)) throw error;
    const { kind, message } = error;
    const isLater = kind === "transient" || kind === "ambiguous" || kind === "client";
    return this.#refused(client, isLater ? "unavailable" : "rejected", message);
  }

  /** @param reason in words of ours */
  #refused({ name: issuer }: SignInClient, why: SignInFailureReason, reason: string): SignInFailure {
    this.deps.log.warn({ issuer, why, reason }, "a sign-in failed");
    return failed(why);
  }
}

/** Whom the claims are of; or why they are of nobody whom the issuer's entry means. */
function whoIs(claims: Claims, issuer: SignInIssuer): Principal | string {
  const { email_verified: isVerified } = claims;
  // People may give themselves any address, where the issuer does not say that it has verified it (OpenID Connect Core 1.0 section 5.7).
  const goesByEmail = issuer.subject === "email" || Object.hasOwn(issuer.claims, "email");
  if (goesByEmail && isVerified !== true && isVerified !== "true")
    return "its claim email_verified is not true";
  return principalOf(claims, issuer);
}

function isSameClient(one: SignInIssuer, other: SignInIssuer): boolean {
  return one.issuer === other.issuer && one.audience === other.audience;
}

function failed(why: SignInFailureReason): SignInFailure {
  return { kind: "failed", why };
}

function isForPeople(issuer: JwtConfig | NamedIssuer): issuer is SignInIssuer {
  return "signIn" in issuer && issuer.signIn !== undefined;
}

/**
 * For the issuers at which people sign in, of all that are configured; at least one. Calls issuers as providers are called, from every daemon of a fleet: a sign-in changes nothing that they share.
 *
 * @throws StartRefused for a client secret that cannot be read
 */
export function openSignIn(
  all: readonly (JwtConfig | NamedIssuer)[],
  deps: {
    readonly networks: ProviderNetworks;
    readonly proxies: WebProxySettings | undefined;
    readonly clock: Clock;
    readonly log: Log;
  },
): SignIn {
  const issuers = all.filter(isForPeople);
  for (const { name, signIn } of issuers)
    try {
      if (signIn.clientSecretFile !== undefined) readSecret(signIn.clientSecretFile);
    } catch (error) {
      throw new StartRefused(`client_secret_file of the issuer ${name}: ${(error as Error).message}`);
    }
  const { networks, proxies, ...rest } = deps;
  return new SignIns(issuers, {
    ...rest,
    outbound: createOutboundFetch({ networks, proxies, tokenTimeoutMs }),
  });
}
