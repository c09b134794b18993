import { hash } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import type { JudgedRequest } from "../../domain/use/use.js";
import type { ShownRequest as ShownRequestMessage, ShownRequestSchema } from "../../gen/nexus/v1/token_pb.js";
import {
  type DescribedRequest,
  describedHeaders,
  describedUrl,
  maxDescribedBytes,
} from "../../model/access/request_facts.js";
import { InvalidArgument } from "../../model/errors.js";

/** @throws InvalidArgument */
export function describedRequestOf(message: ShownRequestMessage | undefined): DescribedRequest | undefined {
  if (!message) return undefined;
  const { method, url, showsHeaders, headers, bodySize, bodySha256, body, session, repeats } = message;
  if (bodySize !== undefined && bodySha256.length !== 32) {
    throw new InvalidArgument([{ field: "request.body_sha256", description: "is required with body_size" }]);
  }
  const fields = Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value] as const);
  const isWhole = body.length > 0 && BigInt(body.length) === bodySize;
  return {
    ...describedHeaders(method, fields, showsHeaders),
    ...describedUrl(url),
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

export type RequestDescription = MessageInitShape<typeof ShownRequestSchema>;

/** A request as the rules are to see it, without credentials. */
export function requestDescription(request: JudgedRequest): RequestDescription {
  const { method, url, headers, body, session, repeats } = request;
  const texts = Object.entries(headers).map(
    ([name, value]) => [name.toLowerCase(), [value].flat().join(", ")] as const,
  );
  const { headers: kept } = describedHeaders(method, texts, true);
  const line = { method, url, showsHeaders: true, headers: Object.fromEntries(kept ?? []), session, repeats };
  if (body === undefined) return line;
  return {
    ...line,
    bodySize: BigInt(body.length),
    bodySha256: hash("sha256", body, "buffer") as Uint8Array<ArrayBuffer>,
    ...(body.length <= maxDescribedBytes && { body: body as Uint8Array<ArrayBuffer> }),
  };
}
