import { hash } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { AskedRequest } from "../../domain/use/use.js";
import type { ShownRequest as ShownRequestMessage, ShownRequestSchema } from "../../gen/nexus/v1/token_pb.js";
import {
  maxShownBytes,
  type ShownRequest,
  shownHeaders,
  shownUrl,
} from "../../model/access/request_facts.js";
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

export type ShownRequestInit = MessageInitShape<typeof ShownRequestSchema>;

/** A request as the rules are to see it, without credentials. */
export function shownRequestMessage(asked: AskedRequest): ShownRequestInit {
  const { method, url, headers, body, session, repeats } = asked;
  const texts = Object.entries(headers).map(
    ([name, value]) => [name.toLowerCase(), [value].flat().join(", ")] as const,
  );
  const { headers: kept } = shownHeaders(method, texts, true);
  const line = { method, url, showsHeaders: true, headers: Object.fromEntries(kept ?? []), session, repeats };
  if (body === undefined) return line;
  return {
    ...line,
    bodySize: BigInt(body.length),
    bodySha256: hash("sha256", body, "buffer") as Uint8Array<ArrayBuffer>,
    ...(body.length <= maxShownBytes && { body: body as Uint8Array<ArrayBuffer> }),
  };
}
