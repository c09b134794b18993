// Copied from src/strategies/known_strategy.ts by `npm run generate`; edit that.
import { createHmac } from "node:crypto";
import { type HmacPayloadStrategy, needsProof, type Strategy } from "./strategy.js";
import { SystemClock, type WallClock } from "./clock.js";
import {
  type ApiRequest,
  type AuthorizedRequest,
  copied,
  type RequestBody,
  withHeader,
} from "./api_request.js";
import { type BodyHash, signAws } from "./aws_sigv4.js";
import {
  type Credentials,
  readCredential,
  refuseControls,
  refuseHeaderViolations,
} from "./credential_fields.js";
import { withQueryParam } from "./query.js";
import { StrategyError } from "./strategy_error.js";

export interface ApplyOptions {
  /** The time of an AWS signature; the machine's by default. */
  readonly clock?: WallClock;
  /** How an AWS signature covers the body; `header` by default. */
  readonly bodyHash?: BodyHash;
  /** Of `CreateProof`, for this very request: required where the token is bound to a key, and used nowhere else. */
  readonly proof?: string;
}

/** As `applyStrategy`, of a strategy that `strategyOfShape` returned. @throws StrategyError */
export async function applyKnown<Body extends RequestBody = RequestBody>(
  request: ApiRequest<Body>,
  known: Strategy,
  credentials: Credentials,
  options: ApplyOptions,
): Promise<AuthorizedRequest<Body>> {
  const own = copied(request);
  switch (known.kind) {
    case "oauth2":
    case "header": {
      const value = `${known.valuePrefix}${readCredential(credentials, known.credentialField)}`;
      refuseHeaderViolations(value, known.credentialField);
      const authorized = withHeader(own, known.headerName, value);
      return needsProof(known) ? withHeader(authorized, "DPoP", checkedProof(options.proof)) : authorized;
    }
    case "query_param": {
      const value = readCredential(credentials, known.credentialField);
      return { ...own, url: withQueryParam(own.url, known.paramName, value) };
    }
    case "basic_auth":
      return withHeader(
        own,
        "Authorization",
        basicValue(known.usernameField, known.passwordField, credentials),
      );
    case "hmac_payload":
      return withHeader(own, known.headerName, hmacValue(known, credentials, own.body));
    case "aws_sigv4":
      return await signAws(own, known, credentials, {
        clock: options.clock ?? new SystemClock(),
        bodyHash: options.bodyHash ?? "header",
      });
  }
}

/** @throws StrategyError when it is missing, or no JWT */
function checkedProof(proof: string | undefined): string {
  if (proof === undefined) {
    const description = "is required: the token is bound to a key (DPoP), and CreateProof makes it";
    throw new StrategyError("missing_credential", "proof", description);
  }
  if (/^[\w-]+\.[\w-]+\.[\w-]+$/.test(proof)) return proof;
  throw new StrategyError("invalid_credential", "proof", "must be a JWT, as CreateProof returns it");
}

/** RFC 7617 section 2, with the charset of section 2.1. */
function basicValue(usernameField: string, passwordField: string, credentials: Credentials): string {
  const username = readCredential(credentials, usernameField, { mayBeEmpty: true });
  const password = readCredential(credentials, passwordField, { mayBeEmpty: true });
  refuseControls(username, usernameField);
  refuseControls(password, passwordField);
  if (username.includes(":")) {
    const description = "must not hold a colon: Basic credentials end the user name at it";
    throw new StrategyError("invalid_credential", usernameField, description);
  }
  return `Basic ${Buffer.from(`${username}:${password}`, "utf8").toString("base64")}`;
}

/** RFC 2104 over the bytes of the body; a request without one signs nothing. */
function hmacValue(
  { secretField, algo, encoding }: HmacPayloadStrategy,
  credentials: Credentials,
  body: RequestBody | undefined,
): string {
  const hmac = createHmac(algo, readCredential(credentials, secretField));
  return hmac.update(body ?? "").digest(encoding);
}
