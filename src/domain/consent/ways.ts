import { createHash, createHmac, hash, timingSafeEqual } from "node:crypto";
import type { AuditEventType } from "../../model/access/audit_event.js";
import type { Identity } from "../../model/access/principal.js";
import { isRequester, type PendingAuthorization } from "../../model/connections/authorization.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import { pathOfRedirectUri } from "../../model/providers/redirect_path.js";
import type { Clock } from "../../runtime/clock.js";
import type { Log } from "../../runtime/log.js";
import type { Reads } from "../../store/reads.js";
import type { AuthorizationSecret } from "../../store/records/secret_codec.js";
import type { CredentialVault } from "../connections/connections.js";

/**
 * How a consent comes to its commit. All ways are requested in `consent_request.ts`, and end in `consent_commit.ts` with a credential, or in
 * `consent_ending.ts` without one.
 *
 * | step | code | form | device | confirmation |
 * | --- | --- | --- | --- | --- |
 * | file | `code.ts` | `form.ts` | `device.ts` | `confirmation.ts` |
 * | find | by the state | by the state | by what the store keeps, at each poll | by the connection |
 * | judge | `judged.link`, `.decline`, `.callback` | `judged.capture`, `.page`, `.submit` | `judged.poll` | `judged.confirm` |
 * | take | before the code is sent | in the commit | in the commit | in the commit |
 * | obtain | exchange the code | what the user typed | poll the token endpoint | what the vault holds |
 * | whose | userinfo | a request with the credential | userinfo | known already |
 * | commit | write, or hold | write, or hold | write | write |
 * | fails | ends the consent | leaves it open | ends it, or polls again | ends it after five wrong codes |
 */
export type Way = "code" | "form" | "device" | "confirmation";

interface Steps {
  /**
   * When the pending authorization is taken. An authorization code is redeemed once, so that its state is consumed, durably, before the code
   * is sent.
   */
  readonly takes: "before_exchange" | "in_commit";
  /** What the commit is in the audit log. */
  readonly audit: AuditEventType;
}

export const ways: Readonly<Record<Way, Steps>> = {
  code: { takes: "before_exchange", audit: "oauth_flow_completed" },
  device: { takes: "in_commit", audit: "oauth_flow_completed" },
  form: { takes: "in_commit", audit: "credential_captured" },
  confirmation: { takes: "in_commit", audit: "connection.confirmed" },
};

/** What is judged of a pending authorization, and of who answers it, in this order: the first flaw counts. */
const judged = {
  /** A browser opens the link. */
  link: ["unanswered", "time", "profile", "secret"],
  /** The user declines a step-up on the page before the provider. */
  decline: ["unanswered", "step_up", "time", "profile", "secret", "browser", "form_token"],
  /** The provider sends the browser back. Who that is comes first: the others learn nothing else. */
  callback: ["secret", "browser", "time", "redirect_uri", "profile"],
  /** A caller of the API that has the state shows a form of its own. */
  capture: ["unanswered", "time", "profile", "static_type", "secret"],
  /** A browser opens the form. */
  page: ["unanswered", "time", "profile", "static_type", "secret", "browser"],
  /** The user sends it. */
  submit: ["unanswered", "time", "profile", "static_type", "secret", "browser", "form_token"],
  /** The token endpoint is polled. */
  poll: ["time", "profile", "secret"],
  /** The application confirms. Only who requested the consent can use up its tries. */
  confirm: ["held", "requester", "time", "completion_code", "profile", "secret"],
} as const satisfies Readonly<Record<string, readonly Check[]>>;

export type Judged = keyof typeof judged;

export type Flaw =
  /** It is not stored (any more), or is answered otherwise. */
  | "unknown"
  | "expired"
  | "profile_changed"
  | "profile_deleted"
  | "not_static"
  | "unreadable"
  | "other_browser"
  | "other_redirect_uri"
  | "wrong_completion_code";

/** Of these, an operator should know. */
const suspicious: ReadonlySet<Flaw> = new Set([
  "unreadable",
  "other_browser",
  "other_redirect_uri",
  "wrong_completion_code",
]);

/** Reads a cookie of a browser by its name. */
export type Cookies = (name: string) => string | undefined;

/** What a caller or a browser shows beside the key. */
export interface Presented {
  readonly cookie?: Cookies;
  readonly formToken?: string;
  /** At which the browser came back, below the public URL. */
  readonly path?: string;
  readonly caller?: Identity;
  readonly completionCode?: string;
}

interface Subject {
  readonly key: string;
  readonly pending: PendingAuthorization;
  readonly profile: ProviderProfile | undefined;
  readonly secret: AuthorizationSecret | undefined;
  readonly presented: Presented;
  readonly nowMs: number;
}

type Check =
  | "unanswered"
  | "held"
  | "requester"
  | "step_up"
  | "time"
  | "profile"
  | "static_type"
  | "secret"
  | "browser"
  | "form_token"
  | "redirect_uri"
  | "completion_code";

const checks: Readonly<Record<Check, (subject: Subject) => Flaw | undefined>> = {
  unanswered: ({ pending }) => (pending.held ? "unknown" : undefined),
  held: ({ pending }) => (pending.held ? undefined : "unknown"),
  requester: ({ pending, presented: { caller } }) =>
    caller && isRequester(pending, caller) ? undefined : "unknown",
  step_up: ({ pending }) => (pending.isStepUp ? undefined : "unknown"),
  time: ({ pending, nowMs }) => (nowMs < pending.expiresAtMs ? undefined : "expired"),
  profile: ({ pending, profile }) => {
    if (!profile) return "profile_deleted";
    return profile.version === pending.providerVersion ? undefined : "profile_changed";
  },
  static_type: ({ profile }) => (profile?.authType === "oauth2" ? "not_static" : undefined),
  secret: ({ secret }) => (secret ? undefined : "unreadable"),
  browser: ({ key, secret, presented: { cookie } }) =>
    secret && sameText(cookie?.(bindingName(key)) ?? "", secret.browserBinding) ? undefined : "other_browser",
  form_token: ({ key, secret, presented: { formToken = "" } }) =>
    secret && sameText(formToken, formTokenOf(secret.browserBinding, key)) ? undefined : "other_browser",
  // RFC 9700 section 4.4.2: the response was made for the redirect URI of another provider.
  redirect_uri: ({ pending, presented: { path } }) =>
    path === pathOfRedirectUri(pending.redirectUri) ? undefined : "other_redirect_uri",
  completion_code: ({ key, presented: { completionCode = "" } }) =>
    sameText(hashCompletionCode(completionCode), key) ? undefined : "wrong_completion_code",
};

/** A pending authorization without a flaw. */
export interface Flawless {
  readonly key: string;
  readonly pending: PendingAuthorization;
  /** In the version for which it was requested. */
  readonly profile: ProviderProfile;
  readonly secret: AuthorizationSecret;
}

/** Judges pending authorizations, whichever way they are answered. */
export class ConsentJudge {
  constructor(
    private readonly deps: { readonly vault: CredentialVault; readonly clock: Clock; readonly log: Log },
  ) {}

  /** The pending authorization that is stored under `key`. Consumes nothing. */
  find(judgedAs: Judged, reads: Reads, key: string, presented: Presented = {}): Flawless | Flaw {
    const pending = reads.getAuthorization(key);
    return pending ? this.judge(judgedAs, reads, { key, pending }, presented) : "unknown";
  }

  /** @param found stored, or just taken */
  judge(
    judgedAs: Judged,
    reads: Reads,
    { key, pending }: Pick<Flawless, "key" | "pending">,
    presented: Presented = {},
  ): Flawless | Flaw {
    const profile = reads.getProvider(pending.providerId);
    const secret = this.deps.vault.authorizationIfOpens(key, pending);
    const subject = { key, pending, profile, secret, presented, nowMs: this.deps.clock.nowMs() };
    for (const check of judged[judgedAs]) {
      const flaw = checks[check](subject);
      if (!flaw) continue;
      const { connectionId, providerId } = pending;
      if (suspicious.has(flaw)) this.deps.log.warn({ connectionId, providerId, flaw }, "consent refused");
      return flaw;
    }
    if (!profile) return "profile_deleted";
    return secret ? { key, pending, profile, secret } : "unreadable";
  }
}

/** Name of the cookie that binds a browser to a request. */
export function bindingName(stateHash: string): string {
  return stateHash.slice(0, 16);
}

export function sameText(one: string, other: string): boolean {
  const digest = (text: string): Buffer => hash("sha256", text, "buffer");
  return timingSafeEqual(digest(one), digest(other));
}

/** Of the forms of a request: known only to who has its cookie. */
export function formTokenOf(browserBinding: string, stateHash: string): string {
  return createHmac("sha256", browserBinding).update(`form ${stateHash}`).digest("base64url");
}

/** Never the hash of a `state`, so that neither can be used as the other. */
export function hashCompletionCode(code: string): string {
  return createHash("sha256").update(`completion code ${code}`).digest("hex");
}
