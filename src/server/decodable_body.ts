import { type DescMessage, fromBinary } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";

/** Whether the message is compressed, or of another kind; and its length. */
const envelopeBytes = 5;

/**
 * The body of a request for one message in protobuf, refused with INVALID_ARGUMENT where the message does not decode: the library answers
 * INTERNAL, as if it were a fault of ours. What is too long, compressed or badly framed goes on as it came, and the library says so.
 *
 * @param contentType of the request; JSON is left alone
 * @param maxBytes of the message
 * @throws ConnectError when the whole body is there
 */
export async function* decodableBody(
  body: AsyncIterable<Uint8Array>,
  input: DescMessage,
  contentType: string,
  maxBytes: number,
): AsyncIterable<Uint8Array> {
  const isEnveloped = contentType !== "application/proto";
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
  if (message && !decodes(input, message)) {
    throw new ConnectError(`the request is no well-formed ${input.typeName}`, Code.InvalidArgument);
  }
  yield whole;
}

/** The one message of an enveloped body; undefined when it is another than that. */
function messageOf(body: Buffer): Buffer | undefined {
  if (body.length < envelopeBytes || body.readUInt8(0) !== 0) return undefined;
  return body.readUInt32BE(1) === body.length - envelopeBytes ? body.subarray(envelopeBytes) : undefined;
}

function decodes(input: DescMessage, bytes: Uint8Array): boolean {
  try {
    fromBinary(input, bytes);
    return true;
  } catch {
    return false;
  }
}
