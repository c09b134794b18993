import { type DescMessage, fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { InvalidArgument } from "../../model/errors.js";
import type { JsonValue } from "../../model/json.js";
import { toWireError } from "../../service/pipeline/error_table.js";
import type { WireError } from "../../service/pipeline/wire_error.js";
import { jsonViolation } from "./json_message.js";
import { toConnectError } from "./wire_answer.js";

/** Whether the message is compressed, or of another kind; and its length. */
const envelopeBytes = 5;

/**
 * The body of a request for one message. It is refused with INVALID_ARGUMENT if protobuf does not decode, which the library answers with
 * INTERNAL. JSON that is no such message is refused with the name of the field. That includes unknown fields, because a mistyped name would
 * do something else. What is too long, compressed or badly framed goes on as it came, and the library refuses it.
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
  const isJudged = size <= maxBytes + envelopeBytes;
  const whole = Buffer.concat(chunks);
  const message = isEnveloped ? messageOf(whole) : whole;
  if (message && isJson && isJudged) judgeJson(input, message);
  if (whole.length === 0) return;
  if (message && !isJson && isJudged && !decodes(input, message)) {
    throw new ConnectError(`the request is no well-formed ${input.typeName}`, Code.InvalidArgument);
  }
  yield whole;
}

/** The one message of an enveloped body; undefined when it is another than that. */
function messageOf(body: Buffer): Buffer | undefined {
  if (body.length < envelopeBytes || body.readUInt8(0) !== 0) return undefined;
  return body.readUInt32BE(1) === body.length - envelopeBytes ? body.subarray(envelopeBytes) : undefined;
}

/** @throws ConnectError with the first field that is wrong, as a violation too */
function judgeJson(input: DescMessage, message: Buffer): void {
  let value: JsonValue;
  try {
    value = JSON.parse(new TextDecoder().decode(message)) as JsonValue;
  } catch {
    throw new ConnectError("the body is not JSON", Code.InvalidArgument);
  }
  const violation = jsonViolation(input, value);
  if (!violation) return;
  if (violation.field === "") throw new ConnectError("the body must be a JSON object", Code.InvalidArgument);
  throw toConnectError(toWireError(new InvalidArgument([violation])) as WireError);
}

function decodes(input: DescMessage, bytes: Uint8Array): boolean {
  try {
    fromBinary(input, bytes);
    return true;
  } catch {
    return false;
  }
}
