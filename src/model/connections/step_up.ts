import type { Connection, StepUp } from "./connection.js";
import type { SignInNeed } from "./sign_in.js";

/** Step-ups in a row for what a person was asked for already. */
const maxAttempts = 3;
/** After this long a person may have been given other rights: it is asked for again. */
const forgottenAfterMs = 24 * 60 * 60_000;
/** Of one request for consent, whichever callers ask for them. */
export const maxScopes = 100;

/** The scopes of a request that a step-up made. */
export interface StepUpScopes {
  /** Those that are new, or that the API named; none when it named none and nothing is new. */
  readonly missing: readonly string[];
  /** The others of the request. */
  readonly others: readonly string[];
}

/** @param scopes of the request of a step-up */
export function stepUpScopes(
  { stepUp, consentedScopes }: Connection,
  scopes: readonly string[],
): StepUpScopes {
  const isMissing = (scope: string): boolean =>
    stepUp?.scopes.includes(scope) === true || !consentedScopes.includes(scope);
  return { missing: scopes.filter(isMissing), others: scopes.filter((scope) => !isMissing(scope)) };
}

/**
 * What becomes of a connection for whose token an API wants `named`, which no open link asks for.
 *
 * @param signIn a sign-in that has aged since the last attempt is no sign that this one did not help
 * @returns `exhausted` after three attempts that did not help, and after one whose grant lacks what was requested
 */
export function nextStepUp(
  { stepUp, consentedScopes, grantedScopes }: Connection,
  named: readonly string[],
  nowMs: number,
  signIn?: SignInNeed,
): StepUp | "exhausted" {
  const next = { scopes: named, lastAtMs: nowMs, wanted: true };
  const has = (scope: string): boolean => consentedScopes.includes(scope);
  // The consent that brought the token was the first attempt, where it requested all of this.
  const isSecond = named.length > 0 && named.every(has);
  if (stepUp === undefined) return { ...next, attempts: isSecond ? 2 : 1 };
  const agesInMs = (signIn?.maxAgeSeconds ?? Number.POSITIVE_INFINITY) * 1000;
  if (isForgotten(stepUp, nowMs) || nowMs - stepUp.lastAtMs > agesInMs) return { ...next, attempts: 1 };
  if (stepUp.wanted) return { ...next, attempts: stepUp.attempts };
  const wasDenied = (scope: string): boolean => has(scope) && !grantedScopes.includes(scope);
  if (stepUp.scopes.every(has) && named.some(wasDenied)) return "exhausted";
  const wasGranted = stepUp.scopes.every(has);
  if (wasGranted && !named.every(has)) return { ...next, attempts: 1 };
  return stepUp.attempts < maxAttempts ? { ...next, attempts: stepUp.attempts + 1 } : "exhausted";
}

/** A person was asked: how often is remembered. */
export function stepUpAnswered({ stepUp }: Connection) {
  return stepUp?.wanted ? { stepUp: { ...stepUp, wanted: false } } : {};
}

/** As many of the scopes that an API named as one request may hold beside those that it asks for anyway. */
export function askableScopes({ consentedScopes }: Connection, named: readonly string[]): readonly string[] {
  const had = named.filter((scope) => consentedScopes.includes(scope));
  const missing = named.filter((scope) => !consentedScopes.includes(scope));
  const room = Math.max(0, maxScopes - consentedScopes.length);
  return [...new Set([...had, ...[...new Set(missing)].slice(0, room)])];
}

/** Also one of a time that is yet to come: the clock was set back. */
function isForgotten({ lastAtMs }: StepUp, nowMs: number): boolean {
  return Math.abs(nowMs - lastAtMs) >= forgottenAfterMs;
}
