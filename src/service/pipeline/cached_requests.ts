import { type DescMessage, fromBinary, type Message } from "@bufbuild/protobuf";
import { BoundedMap } from "../../runtime/bounded_map.js";

/** Longer requests are decoded anew each time; one that names a connection by its id is 38 bytes, by name some 60. */
const maxBytes = 160;
/** Requests remembered: some 350 KB at most. */
const maxRequests = 1_024;

/**
 * Requests of one RPC by their bytes, and whether they passed the rules of the contract: an agent asks the same over and over.
 * What was decoded is shared, so nobody may change it. For RPCs only whose requests hold no secret.
 */
export class CachedRequests {
  readonly #input: DescMessage;
  readonly #byBytes = new BoundedMap<string, Message>(maxRequests);
  readonly #valid = new WeakSet<Message>();

  constructor(input: DescMessage) {
    this.#input = input;
  }

  /** @throws Error when the bytes are no such message */
  decode(bytes: Buffer): Message {
    if (bytes.length > maxBytes) return fromBinary(this.#input, bytes);
    // A copy: unknown fields point into the bytes, which are a piece of what came from the socket.
    return remembered(this.#byBytes, bytes, () => fromBinary(this.#input, Uint8Array.from(bytes)));
  }

  isValid(request: Message): boolean {
    return this.#valid.has(request);
  }

  /** The request passed the rules, which say the same of it each time. */
  passed(request: Message): void {
    this.#valid.add(request);
  }
}

function remembered(known: BoundedMap<string, Message>, bytes: Buffer, parse: () => Message): Message {
  const key = bytes.toString("latin1");
  const found = known.get(key);
  if (found) return found;
  const request = parse();
  known.set(key, request);
  return request;
}
