/** How a user must sign in for a consent: `acr_values` and `max_age` of OpenID Connect Core 1.0 section 3.1.2.1, as RFC 9470 section 4 uses them. */
export interface SignInNeed {
  /** Any one of these is good; none for all. */
  readonly acrValues: readonly string[];
  /** The greatest age of the sign-in in seconds, where 0 requests a new one; undefined for any. */
  readonly maxAgeSeconds?: number | undefined;
}

/** The same, of a consent that was requested at a time. */
export interface RequestedSignIn extends SignInNeed {
  readonly requestedAtMs: number;
}

/** Undefined where any sign-in is good. */
export function signInNeed(
  acrValues: readonly string[],
  maxAgeSeconds: number | undefined,
): SignInNeed | undefined {
  return acrValues.length === 0 && maxAgeSeconds === undefined ? undefined : { acrValues, maxAgeSeconds };
}

/** The field of a request that asks for it, for errors. */
export function signInField({ acrValues }: SignInNeed): "acr_values" | "max_age_seconds" {
  return acrValues.length > 0 ? "acr_values" : "max_age_seconds";
}

/** Whether each sign-in that meets `asked` meets `wanted`. */
export function coversSignIn(asked: SignInNeed | undefined, wanted: SignInNeed | undefined): boolean {
  if (!wanted) return true;
  const { acrValues = [], maxAgeSeconds = Number.POSITIVE_INFINITY } = asked ?? {};
  const isWanted = (acr: string): boolean => wanted.acrValues.includes(acr);
  const hasAcr = wanted.acrValues.length === 0 || (acrValues.length > 0 && acrValues.every(isWanted));
  return hasAcr && maxAgeSeconds <= (wanted.maxAgeSeconds ?? Number.POSITIVE_INFINITY);
}

/** One that meets both, where the two have an `acr` in common; otherwise that of `wanted`. */
export function bothSignIns(
  asked: SignInNeed | undefined,
  wanted: SignInNeed | undefined,
): SignInNeed | undefined {
  if (!asked || !wanted) return wanted ?? asked;
  const common = asked.acrValues.filter((acr) => wanted.acrValues.includes(acr));
  const chosen = wanted.acrValues.length === 0 ? asked.acrValues : wanted.acrValues;
  const ages = [asked.maxAgeSeconds, wanted.maxAgeSeconds].filter((age) => age !== undefined);
  return {
    acrValues: common.length > 0 ? common : chosen,
    maxAgeSeconds: ages.length === 0 ? undefined : Math.min(...ages),
  };
}

/** Clocks of a provider and of this machine may differ so much, as for the other times of an id_token. */
const toleranceMs = 30_000;

/**
 * What is wrong with a sign-in, as the end of a sentence; undefined when it meets the need. A sign-in after the request for the consent is
 * new, however long the user read the provider's page.
 */
export function signInFlaw(
  { acrValues, maxAgeSeconds, requestedAtMs }: RequestedSignIn,
  { acr, auth_time }: Readonly<Record<string, unknown>>,
  nowMs: number,
): string | undefined {
  const isAcr = (value: unknown): boolean => acrValues.some((wanted) => wanted === value);
  if (acrValues.length > 0 && !isAcr(acr)) {
    return `the id_token ${acr === undefined ? "has no acr" : "has another acr"}, and acr_values has ${acrValues.join(" ")}`;
  }
  if (maxAgeSeconds === undefined) return undefined;
  if (typeof auth_time !== "number") return "the id_token has no auth_time, and max_age was sent";
  const signedInMs = auth_time * 1000;
  if (signedInMs > nowMs + toleranceMs) return "the auth_time of the id_token is yet to come";
  const oldestMs = Math.min(nowMs - maxAgeSeconds * 1000, requestedAtMs);
  return signedInMs + toleranceMs >= oldestMs
    ? undefined
    : `the sign-in is older than the ${maxAgeSeconds} s of max_age`;
}
