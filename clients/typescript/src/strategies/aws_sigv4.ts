// Copied from src/strategies/aws_sigv4.ts by `npm run generate`; edit that.
import { Sha256 } from "@aws-crypto/sha256-js";
import { SignatureV4 } from "@smithy/signature-v4";
import type { AwsSigV4Strategy } from "./strategy.js";
import type { WallClock } from "./clock.js";
import type { AuthorizedRequest, RequestBody } from "./api_request.js";
import { type Credentials, readCredential, refuseHeaderViolations } from "./credential_fields.js";
import { cutUrl, parameterName, queryValues } from "./query.js";
import { StrategyError } from "./strategy_error.js";

/**
 * How the body is bound to the signature:
 *
 * - `header` also sends its hash as `x-amz-content-sha256`, which S3 and some others demand and all accept.
 * - `signed` sends no header.
 * - `unsigned` leaves the body out (`UNSIGNED-PAYLOAD`, which S3 takes over TLS).
 * - `declared` signs the `x-amz-content-sha256` that the request has, for a body that is not at hand. The API compares it with the body.
 *
 * A body in chunks with a checksum behind them (`STREAMING-UNSIGNED-PAYLOAD-TRAILER`) is signed as that, whatever is said here.
 */
export type BodyHash = "header" | "signed" | "unsigned" | "declared";

export const hashHeader = "x-amz-content-sha256";

/** Signing names of S3: its canonical path is the path as it is sent, and not encoded once more. */
export const servicesOfS3 = ["s3", "s3-outposts", "s3-object-lambda", "s3express"];

/** Whether the URL has a signature of its own (of Version 4, or 2): the API refuses a second one beside it. */
export function isPresigned(url: string): boolean {
  const names = (cutUrl(url).query ?? "").split("&").map((pair) => parameterName(pair).toLowerCase());
  return (
    names.includes("x-amz-signature") || (names.includes("signature") && names.includes("awsaccesskeyid"))
  );
}

/**
 * https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 *
 * A URL that is signed already stays as it is.
 */
export async function signAws<Body extends RequestBody>(
  request: AuthorizedRequest<Body>,
  { service, region }: AwsSigV4Strategy,
  credentials: Credentials,
  { clock, bodyHash }: { readonly clock: WallClock; readonly bodyHash: BodyHash },
): Promise<AuthorizedRequest<Body>> {
  if (!URL.canParse(request.url))
    throw new StrategyError("invalid_request", "url", "must be an absolute URL");
  if (isPresigned(request.url)) return request;
  const isPlainPath = servicesOfS3.includes(service);
  const signer = new SignatureV4({
    service,
    region,
    sha256: Sha256,
    credentials: awsCredentials(credentials),
    applyChecksum: bodyHash !== "signed",
    uriEscapePath: !isPlainPath,
  });
  const { host, hostname, protocol } = new URL(request.url);
  const { before, query } = cutUrl(request.url);
  const headers = new Map(
    Object.entries(request.headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
  // What is there would be taken as the hash to sign.
  const payload = payloadOf(headers.get(hashHeader), bodyHash);
  if (payload === undefined) headers.delete(hashHeader);
  else headers.set(hashHeader, payload);
  if (!headers.has("host")) headers.set("host", host);
  const signed = await signer.sign(
    {
      method: request.method.toUpperCase(),
      protocol,
      hostname,
      // As it stands in the URL: the parser of URLs would take dots and double slashes away from S3's keys.
      path: before.replace(/^[^:]+:\/\/[^/]*/, "") || "/",
      query: queryValues(query),
      headers: Object.fromEntries(headers),
      ...(request.body === undefined ? {} : { body: request.body }),
    },
    { signingDate: new Date(clock.nowMs()) },
  );
  return { ...request, headers: merged(request.headers, signed.headers) };
}

/** What is signed instead of the hash of the body; undefined where that is. */
function payloadOf(declared: string | undefined, bodyHash: BodyHash): string | undefined {
  if (bodyHash === "declared" || declared === "STREAMING-UNSIGNED-PAYLOAD-TRAILER") return declared;
  if (declared?.startsWith("STREAMING-")) {
    const description =
      "names chunks that are signed one by one, which were signed with another key: send a plain body";
    throw new StrategyError("invalid_request", hashHeader, description);
  }
  return bodyHash === "unsigned" ? "UNSIGNED-PAYLOAD" : undefined;
}

function awsCredentials(credentials: Credentials) {
  const accessKeyId = readCredential(credentials, "access_key");
  const secretAccessKey = readCredential(credentials, "secret_key");
  refuseHeaderViolations(accessKeyId, "access_key");
  const given = credentials["session_token"];
  if (given === undefined || given === null || given === "") return { accessKeyId, secretAccessKey };
  const sessionToken = readCredential(credentials, "session_token");
  refuseHeaderViolations(sessionToken, "session_token");
  return { accessKeyId, secretAccessKey, sessionToken };
}

/** The headers of the request as they were written, and those that the signer made. */
function merged(
  own: Readonly<Record<string, string>>,
  signed: Readonly<Record<string, string>>,
): Record<string, string> {
  const made = Object.keys(signed).filter((name) => name.startsWith("x-amz-") || name === "authorization");
  const kept = Object.entries(own).filter(([name]) => {
    const lower = name.toLowerCase();
    // The signer leaves `date` out, since its own date counts.
    return !made.includes(lower) && Object.hasOwn(signed, lower);
  });
  return Object.fromEntries([...kept, ...made.map((name): [string, string] => [name, signed[name] ?? ""])]);
}
