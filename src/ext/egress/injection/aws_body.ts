import type { Strategy } from "../../../model/credentials/credentials.js";
import {
  type BodyHash,
  hashHeader,
  isPresigned,
  servicesOfS3,
  signedChunkForms,
} from "../../../strategies/strategies.js";
import type { Fields } from "./request_fields.js";

/** How the body of a request is signed that streams; undefined where all of it must be at hand, since the credential is made of it. */
export function streamedBody(
  target: string,
  headers: Readonly<Fields>,
  strategy: Strategy,
): BodyHash | undefined {
  if (strategy.kind === "hmac_payload") return undefined;
  if (strategy.kind !== "aws_sigv4" || isPresigned(`https://api${target}`)) return "header";
  const declared = headers[hashHeader];
  if (declared === undefined) return servicesOfS3.includes(strategy.service) ? "unsigned" : undefined;
  const isDigest = /^[0-9a-f]{64}$/.test(declared);
  return isDigest || declared === "UNSIGNED-PAYLOAD" || isInSignedChunks(headers, strategy)
    ? "declared"
    : "header";
}

/** Whether the program signed each part of the body, with a key that is none. */
export function isInSignedChunks(
  headers: Readonly<Fields>,
  strategy: Strategy,
): strategy is Extract<Strategy, { kind: "aws_sigv4" }> {
  return strategy.kind === "aws_sigv4" && signedChunkForms.includes(headers[hashHeader] ?? "");
}
