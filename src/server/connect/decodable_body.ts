import { type DescMessage, fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { JsonValue } from "../../model/json.js";
import { impossibleDay } from "./json_timestamps.js";

/** Whether the message is compressed, or of another kind; and its length. */
const envelopeBytes = 5;

/**
 * The body of a request for one message, refused with INVALID_ARGUMENT where protobuf does not decode, which the library answers with
 * INTERNAL, and where JSON names a day that no month has, which the library takes. What is too long, compressed, badly framed or no JSON goes
 * on as it came, and the library refuses it.
 *
 * @param contentType of the request, without its parameters
 * @param maxBytes of the message
 * @throws ConnectError when the whole body is there
 */
export async function* decodableBody(
  body: AsyncIterable<Uint8Array>,
  input: DescMessage,
  contentType: string,
  maxBytes: number,
): AsyncIterable<Uint8Array> {
  const isEnveloped = contentType !== "application/proto" && contentType !== "application/json";
  const isJson = contentType.endsWith("json");
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size <= maxBytes + envelopeBytes) chunks.push(chunk);
    else {
      yield* chunks.splice(0);
      yield chunk;
    }
  }
  if (chunks.length === 0) return;
  const whole = Buffer.concat(chunks);
  const message = isEnveloped ? messageOf(whole) : whole;
  const field = message && isJson ? impossibleDay(input, parsed(message)) : undefined;
  if (field !== undefined) {
    throw new ConnectError(`${field} names a day that no month has`, Code.InvalidArgument);
  }
  if (message && !isJson && !decodes(input, message)) {
    throw new ConnectError(`the request is no well-formed ${input.typeName}`, Code.InvalidArgument);
  }
  yield whole;
}

/** The one message of an enveloped body; undefined when it is another than that. */
function messageOf(body: Buffer): Buffer | undefined {
  if (body.length < envelopeBytes || body.readUInt8(0) !== 0) return undefined;
  return body.readUInt32BE(1) === body.length - envelopeBytes ? body.subarray(envelopeBytes) : undefined;
}

/** Undefined when it is no JSON. */
function parsed(message: Buffer): JsonValue | undefined {
  try {
    return JSON.parse(message.toString()) as JsonValue;
  } catch {
    return undefined;
  }
}

function decodes(input: DescMessage, bytes: Uint8Array): boolean {
  try {
    fromBinary(input, bytes);
    return true;
  } catch {
    return false;
  }
}
