import { createHmac, hash, timingSafeEqual } from "node:crypto";
import type { PendingAuthorization } from "../../model/connections/authorization.js";
import type { Connection } from "../../model/connections/connection.js";
import type { Account } from "../../model/credentials/account.js";
import type { ProviderProfile } from "../../model/providers/provider_profile.js";
import type { Asker, FinishOutcome, NamedProvider, RefusedConsent } from "./consent_types.js";

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

export function namedProvider({ name, template }: ProviderProfile): NamedProvider {
  return { providerName: name, template };
}

/** Who asks a person, for whom, and for what provider. */
export function asking(
  { requestedBy, returnUrl }: PendingAuthorization,
  profile: ProviderProfile,
  connection: Connection | undefined,
): Asker & NamedProvider {
  return { requestedBy, userId: connection?.userId, returnUrl, ...namedProvider(profile) };
}

/** A consent that is over: the browser goes to the caller, or to a page of ours. @param error for the caller */
export function returnRefused(
  pending: PendingAuthorization,
  profile: ProviderProfile,
  refused: RefusedConsent,
  error = refused.word,
): FinishOutcome {
  const { returnUrl } = pending;
  if (returnUrl === undefined) return refused;
  const outcome = { status: "error", error } as const;
  return { kind: "return", location: returnLocation(returnUrl, pending, profile, outcome) };
}

/** A consent that is given. */
export function returnGiven(
  pending: PendingAuthorization,
  profile: ProviderProfile,
  { completionCode, connection, ...given }: Given,
): FinishOutcome {
  const { returnUrl } = pending;
  if (returnUrl === undefined) return { kind: "done", ...asking(pending, profile, connection), ...given };
  const outcome = successOf(completionCode);
  return { kind: "return", location: returnLocation(returnUrl, pending, profile, outcome) };
}

interface Given {
  /** When the credential waits for its confirmation. */
  readonly completionCode: string | undefined;
  readonly connection: Connection | undefined;
  readonly scopes: readonly string[];
  readonly account?: Account | undefined;
  readonly isOther?: boolean;
}

/** Adds the outcome to the return URL; a query already there is kept. */
export function returnLocation(
  returnUrl: string,
  pending: PendingAuthorization,
  profile: ProviderProfile,
  outcome: ReturnOutcome,
): string {
  const url = new URL(returnUrl);
  const added = new URLSearchParams({
    ...outcome,
    connection_id: pending.connectionId,
    provider: profile.name,
  });
  const kept = url.search.slice(1).split("&").filter(isForeign);
  url.search = [...kept, added.toString()].join("&");
  return url.href;
}

/** What the outcome says must not stand there already: of two values an application may read the first. */
function isForeign(pair: string): boolean {
  const [name] = [...new URLSearchParams(pair).keys()];
  return name !== undefined && !outcomeNames.has(name);
}

const outcomeNames = new Set(["status", "error", "connection_id", "provider", "completion_code"]);

export type ReturnOutcome =
  | { readonly status: "success"; readonly completion_code?: string }
  | { readonly status: "error"; readonly error: string };

/** @param completionCode when the credential waits for its confirmation */
export function successOf(completionCode: string | undefined): ReturnOutcome {
  return { status: "success", ...(completionCode === undefined ? {} : { completion_code: completionCode }) };
}
