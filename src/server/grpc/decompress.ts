import { promisify } from "node:util";
import { gunzip, inflate } from "node:zlib";
import { codes, WireError } from "../../service/pipeline/wire_error.js";
import { messageTooLarge } from "../listen/listener_limits.js";

/** What a request may be compressed by, as `grpc-accept-encoding` says it. Answers are sent as they are: they are small, or secret. */
export const acceptedEncodings = "identity,deflate,gzip";

const decompressors: Readonly<Record<string, typeof gunzip>> = { gzip: gunzip, deflate: inflate };

/** Whether messages may say that they are compressed so. @param encoding the field `grpc-encoding` */
export function isKnownEncoding(encoding: string | undefined): boolean {
  return encoding === undefined || encoding === "identity" || Object.hasOwn(decompressors, encoding);
}

/**
 * A message without its compression (gRPC, "Compression").
 *
 * @param encoding one that is known
 * @throws WireError RESOURCE_EXHAUSTED when there is more in it than may be, and INTERNAL, as the specification has it, for bytes
 * that are not what they claim
 */
export async function decompress(
  bytes: Buffer,
  encoding: string | undefined,
  maxMessageBytes: number,
): Promise<Buffer> {
  if (encoding === undefined || encoding === "identity")
    throw new WireError(codes.internal, "a message is compressed, and grpc-encoding does not say how");
  const decompressor = decompressors[encoding];
  if (!decompressor) throw new Error("a call with another encoding was not refused");
  try {
    return await promisify(decompressor)(bytes, { maxOutputLength: maxMessageBytes });
  } catch (error) {
    const isLarge = (error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE";
    if (isLarge) throw messageTooLarge(maxMessageBytes);
    throw new WireError(codes.internal, `a message is no well-formed ${encoding}`);
  }
}
