import { type DescMessage, fromBinary, type Message } from "@bufbuild/protobuf";

/** Longer requests are decoded anew each time; one that names a connection is 38 bytes. */
const maxBytes = 64;
/** Requests remembered: some 300 KB at most. */
const maxRequests = 1_024;

/**
 * Requests of one RPC by their bytes, and whether they passed the rules of the contract: an agent asks the same over and over.
 * What was decoded is shared, so nobody may change it. For RPCs only whose requests hold no secret.
 */
export class KnownRequests {
  readonly #input: DescMessage;
  readonly #byBytes = new Map<string, Message>();
  readonly #valid = new WeakSet<Message>();

  constructor(input: DescMessage) {
    this.#input = input;
  }

  /** @throws Error when the bytes are no such message */
  decode(bytes: Buffer): Message {
    if (bytes.length > maxBytes) return fromBinary(this.#input, bytes);
    const key = bytes.toString("latin1");
    const known = this.#byBytes.get(key);
    if (known) return known;
    // A copy: unknown fields point into the bytes, which are a piece of what came from the socket.
    const request = fromBinary(this.#input, Uint8Array.from(bytes));
    if (this.#byBytes.size >= maxRequests) this.#byBytes.clear();
    this.#byBytes.set(key, request);
    return request;
  }

  isValid(request: Message): boolean {
    return this.#valid.has(request);
  }

  /** The request passed the rules, which say the same of it each time. */
  passed(request: Message): void {
    this.#valid.add(request);
  }
}
