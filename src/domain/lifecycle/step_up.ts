import type { Connection, StepUp } from "../../model/connections/connection.js";

/** Step-ups in a row for what a person was asked for already. */
const maxAttempts = 3;
/** After this long a person may have been given other rights: it is asked for anew. */
const forgottenAfterMs = 24 * 60 * 60_000;
/** Of one request. */
const maxScopes = 100;

type Asked = Pick<Connection, "stepUp" | "consentedScopes">;

/** The scopes that a person must still be asked for since an API refused a token without them; undefined when there is no such need. */
export function wantedScopes(
  { stepUp }: Pick<Connection, "stepUp">,
  nowMs: number,
): readonly string[] | undefined {
  return stepUp?.wanted && !isForgotten(stepUp, nowMs) ? stepUp.scopes : undefined;
}

/** The scopes of a request that a step-up made. */
export interface AskedScopes {
  /** Those that are new, or that the API named; none when it named none and nothing is new. */
  readonly missing: readonly string[];
  /** The others of the request. */
  readonly others: readonly string[];
}

/** Undefined for a request that does not ask for what an API said is missing. @param scopes of the request */
export function askedScopes(
  connection: Asked,
  scopes: readonly string[],
  nowMs: number,
): AskedScopes | undefined {
  const wanted = wantedScopes(connection, nowMs);
  if (!wanted?.every((scope) => scopes.includes(scope))) return undefined;
  const isMissing = (scope: string): boolean =>
    wanted.includes(scope) || !connection.consentedScopes.includes(scope);
  return { missing: scopes.filter(isMissing), others: scopes.filter((scope) => !isMissing(scope)) };
}

/**
 * What becomes of a connection for whose token an API wants `named`.
 *
 * @returns `unchanged` when a person is asked for all of it already; `exhausted` after three attempts that did not help, and after one whose
 * grant lacks what was asked for
 */
export function nextStepUp(
  connection: Asked & Pick<Connection, "grantedScopes">,
  named: readonly string[],
  nowMs: number,
): StepUp | "unchanged" | "exhausted" {
  const { stepUp, consentedScopes, grantedScopes } = connection;
  const wanted = wantedScopes(connection, nowMs);
  if (wanted && named.every((scope) => wanted.includes(scope))) return "unchanged";
  const next = {
    scopes: askable(consentedScopes, [...(wanted ?? []), ...named]),
    lastAtMs: nowMs,
    wanted: true,
  };
  const has = (scope: string): boolean => consentedScopes.includes(scope);
  // The consent that brought the token was the first attempt, where it asked for all of this.
  const isSecond = named.length > 0 && named.every(has);
  if (stepUp === undefined) return { ...next, attempts: isSecond ? 2 : 1 };
  if (isForgotten(stepUp, nowMs)) return { ...next, attempts: 1 };
  if (wanted) return { ...next, attempts: stepUp.attempts };
  const isWithheld = (scope: string): boolean => has(scope) && !grantedScopes.includes(scope);
  if (stepUp.scopes.every(has) && named.some(isWithheld)) return "exhausted";
  const wasGranted = stepUp.scopes.every(has);
  if (wasGranted && !named.every(has)) return { ...next, attempts: 1 };
  return stepUp.attempts < maxAttempts ? { ...next, attempts: stepUp.attempts + 1 } : "exhausted";
}

/** A person was asked: how often is remembered. */
export function stepUpAnswered({ stepUp }: Pick<Connection, "stepUp">): Pick<Connection, "stepUp"> {
  return stepUp?.wanted ? { stepUp: { ...stepUp, wanted: false } } : {};
}

/** A token was minted where no person is to be asked. @param asked scopes of its request */
export function stepUpMinted(
  { stepUp }: Pick<Connection, "stepUp">,
  asked: readonly string[],
): StepUp | undefined {
  return stepUp?.scopes.every((scope) => asked.includes(scope)) ? { ...stepUp, wanted: false } : stepUp;
}

/** As many of them as one request may hold beside those that it asks for anyway. */
function askable(consented: readonly string[], scopes: readonly string[]): readonly string[] {
  const had = scopes.filter((scope) => consented.includes(scope));
  const missing = scopes.filter((scope) => !consented.includes(scope));
  const room = Math.max(0, maxScopes - consented.length);
  return [...new Set([...had, ...[...new Set(missing)].slice(0, room)])];
}

/** Also one of a time that is yet to come: the clock was set back. */
function isForgotten({ lastAtMs }: StepUp, nowMs: number): boolean {
  return Math.abs(nowMs - lastAtMs) >= forgottenAfterMs;
}
