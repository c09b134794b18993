import { type DescMessage, type Message, type MessageShape, toBinary } from "@bufbuild/protobuf";

/** A property of the message itself; encoders of protobuf look at declared fields only. */
const frameKey = Symbol("frame");

interface Shared {
  [frameKey]?: Buffer;
}

/** What gRPC puts before a message: no compression, and its length. */
const prefixBytes = 5;

/** Encodes an answer that many callers get, once; nobody may change it afterwards. */
export function shareMessage<D extends DescMessage>(
  descriptor: D,
  message: MessageShape<D>,
): MessageShape<D> {
  (message as Shared)[frameKey] = frameOf(descriptor, message);
  return message;
}

/** The message as gRPC sends it, its prefix included. Not to be written to: others send the same bytes. */
export function sharedFrame(message: Message): Buffer | undefined {
  return (message as Shared)[frameKey];
}

export function frameOf(descriptor: DescMessage, message: Message): Buffer {
  const bytes = toBinary(descriptor, message);
  const frame = Buffer.allocUnsafeSlow(prefixBytes + bytes.length);
  frame[0] = 0;
  frame.writeUInt32BE(bytes.length, 1);
  frame.set(bytes, prefixBytes);
  return frame;
}
