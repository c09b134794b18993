import type { Token } from "../../../gen/nexus/v1/token_pb.js";
import {
  type BodyHash,
  hashHeader,
  isPresigned,
  servicesOfS3,
  signedChunkForms,
} from "../../../strategies/strategies.js";
import type { Fields } from "./request_fields.js";

/** How the body of a request is signed that streams; undefined where all of it must be at hand, since the credential is made of it. */
export function streamedBody(target: string, headers: Readonly<Fields>, token: Token): BodyHash | undefined {
  const { kind } = token.strategy ?? {};
  if (kind?.case === "hmacPayload") return undefined;
  if (kind?.case !== "awsSigv4" || isPresigned(`https://api${target}`)) return "header";
  const declared = headers[hashHeader];
  if (declared === undefined) return servicesOfS3.includes(kind.value.service) ? "unsigned" : undefined;
  const isDigest = /^[0-9a-f]{64}$/.test(declared);
  return isDigest || declared === "UNSIGNED-PAYLOAD" || isInSignedChunks(headers, token)
    ? "declared"
    : "header";
}

/** Whether the program signed each part of the body, with a key that is none. */
export function isInSignedChunks(headers: Readonly<Fields>, { strategy }: Token): boolean {
  return strategy?.kind.case === "awsSigv4" && signedChunkForms.includes(headers[hashHeader] ?? "");
}
