import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { type Token, TokenService } from "../../gen/nexus/v1/token_pb.js";
import { type ConnectionName, namePath } from "../../model/connections/connections.js";
import type { Call } from "../../service/service.js";

/** A refusal for an SDK, which shows the sentence to a person or to a log. */
export class MetadataRefusal extends Error {
  override readonly name: string = "MetadataRefusal";

  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** The current token of a connection, with these scopes at least. @throws MetadataRefusal where its user must act; WireError */
export type Acquire = (name: ConnectionName, scopes?: readonly string[]) => Promise<Token>;

/**
 * By `AcquireToken` of a caller: its restrictions, rules, limits, and the audit log hold.
 *
 * @param minTtlMs as there
 */
export function acquirer(call: Call, minTtlMs = 0): Acquire {
  return async (name, scopes = []) => {
    const request = { ...name, scopes: [...scopes], minTtl: durationFromMs(minTtlMs) };
    const { result } = await call(TokenService.method.acquireToken, request);
    if (result.case === "token") return result.value;
    if (result.case === undefined) throw new Error("AcquireToken has no result");
    const { authUrl, verificationUri, userCode } = result.value;
    const link = authUrl === "" ? `${verificationUri} (code ${userCode})` : authUrl;
    const message = `the user must connect ${namePath(name)} first: ${link}`;
    throw new MetadataRefusal(409, "consent_required", message);
  };
}
