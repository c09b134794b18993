import type { ShownRequest as ShownRequestMessage } from "../../gen/nexus/v1/token_pb.js";
import { type ShownRequest, shownHeaders, shownUrl } from "../../model/access/request_facts.js";
import { InvalidArgument } from "../../model/errors.js";

/** @throws InvalidArgument */
export function shownRequestOf(message: ShownRequestMessage | undefined): ShownRequest | undefined {
  if (!message) return undefined;
  const { method, url, showsHeaders, headers, bodySize, bodySha256, body, session, repeats } = message;
  if (bodySize !== undefined && bodySha256.length !== 32) {
    throw new InvalidArgument([{ field: "request.body_sha256", description: "is required with body_size" }]);
  }
  const fields = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  const isWhole = body.length > 0 && BigInt(body.length) === bodySize;
  return {
    ...shownHeaders(method, fields, showsHeaders),
    ...shownUrl(url),
    body:
      bodySize === undefined
        ? undefined
        : {
            size: Number(bodySize),
            digest: Buffer.from(bodySha256).toString("hex"),
            bytes: isWhole ? body : undefined,
          },
    session: session === "" ? undefined : session,
    ...(repeats && { repeats }),
  };
}
