import type { Principal } from "../../model/access/principal.js";

/** Header in which a spoke names its own caller, in base64url. */
export const callerField = "x-nexus-caller";

/** Longer than the names of principals in use. */
const maxLength = 256;
/** What would steer a terminal or turn a text around. */
const steering = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/**
 * The same principal, whose origin says for whom it says that it calls. Nobody proved that: it is a text for the audit log, and decides
 * nothing. That it came through this principal is proved.
 */
export function onBehalf(principal: Principal, field: string): Principal {
  const name = Buffer.from(field, "base64url").toString("utf8").replace(steering, "").slice(0, maxLength);
  if (name === "") return principal;
  return { ...principal, origin: `${principal.origin ?? "unknown"} for ${name}`, via: [principal.name] };
}
