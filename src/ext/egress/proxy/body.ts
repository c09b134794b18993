import { once } from "node:events";
import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Http2ServerRequest } from "node:http2";
import type { Readable, Writable } from "node:stream";
import type { MaskFilter } from "../injection/mask.js";
import { type HeaderFields, passedTrailers } from "../injection/request_fields.js";
import { ProblemDetails } from "./problem.js";

/** A request whose body is longer is not sent again. */
const keptBytes = 64 * 1024;

const nothing = Buffer.alloc(0);
const tooMuchHeld = new ProblemDetails(
  503,
  "too-much-held",
  "too many requests with long bodies are held, as for an approval: send it again when one of them is done",
);

/** The body of a request on its way: it streams, and its beginning is kept so that a short one can be sent again. */
export class StreamedBody {
  readonly #kept: Buffer[] = [];
  #bytes = 0;
  /** Of the budget. */
  #taken = 0;
  #isRead = false;
  #hasEnded = false;
  #isReleased = false;
  /** What the body becomes on its way; it throws where it cannot. */
  through: MaskFilter | undefined;
  /** What `through` threw: the request was cut off. */
  fault: unknown;
  #trailerNames: readonly string[] = [];

  /** @param announced its length in bytes, 0 for none; undefined where only its end shows it */
  constructor(
    private readonly source: Readable & { readonly trailers?: IncomingHttpHeaders },
    private readonly announced: number | undefined,
    private readonly budget?: BodyBudget,
  ) {}

  /** In bytes; undefined where it is not known yet, and where something may go behind it, which takes chunks. */
  get length(): number | undefined {
    return this.trailerNames.length > 0 ? undefined : this.#known;
  }

  get isEmpty(): boolean {
    return this.#known === 0;
  }

  get #known(): number | undefined {
    return this.#hasEnded ? this.#bytes : this.announced;
  }

  /** What may go on behind it: of a body whose length is not announced, and that is not empty. */
  get trailerNames(): readonly string[] {
    return this.isEmpty ? [] : this.#trailerNames;
  }

  set trailerNames(names: readonly string[]) {
    this.#trailerNames = this.announced === undefined ? names : [];
  }

  /** Complete when it has ended. */
  get trailers(): HeaderFields {
    return passedTrailers(this.source.trailers ?? {}, this.trailerNames);
  }

  /** Whether all of it is at hand. */
  get canBeSentAgain(): boolean {
    return this.isEmpty || (this.#hasEnded && !this.#isReleased && this.#bytes <= keptBytes);
  }

  /** Waits for its first byte, or its end: then `isEmpty` is right. */
  async begun(): Promise<void> {
    const { source } = this;
    if (this.#isRead || this.announced !== undefined) return;
    const over = new Promise((resolve) => source.once("end", resolve).once("close", resolve));
    if (source.readableLength === 0) await Promise.race([once(source, "readable"), over]);
    const first = source.read() as Buffer | null;
    if (first !== null) return source.unshift(first);
    // It has ended, and says so only to who reads on.
    await over;
    this.#hasEnded = source.readableEnded;
  }

  /**
   * The stream at first, what was kept afterwards.
   *
   * @param cutOff called where it breaks off
   * @param atEnd called before the sink ends
   */
  into(sink: Writable, cutOff: () => void, atEnd?: () => void): void {
    if (this.isEmpty) return void sink.end();
    const { change, last } = this.#changed(cutOff);
    if (this.#isRead) {
      const all = Buffer.concat([change(Buffer.concat(this.#kept)), last() ?? nothing]);
      if (this.fault === undefined) atEnd?.();
      return void (this.fault === undefined && sink.end(all));
    }
    this.#isRead = true;
    this.source.once("end", () => {
      this.#hasEnded = true;
    });
    this.source.once("close", () => this.#hasEnded || cutOff());
    // A program may send all of it before it reads an answer that came early: the rest goes nowhere.
    sink.once("close", () => this.source.resume());
    pump(this.source, sink, { change: (chunk) => change(this.#keep(chunk)), last }, atEnd);
  }

  /** @param cutOff called where `through` throws; nothing comes of what is read afterwards */
  #changed(cutOff: () => void): MaskFilter {
    const { through } = this;
    const tried = (change: () => Buffer | undefined): Buffer => {
      if (this.fault !== undefined) return nothing;
      try {
        return change() ?? nothing;
      } catch (error) {
        this.fault = error;
        cutOff();
        return nothing;
      }
    };
    return {
      change: (chunk) => tried(() => (through ? through.change(chunk) : chunk)),
      last: () => tried(() => through?.last()),
    };
  }

  /**
   * All of it, for a credential that is made of it, or a rule that goes by it.
   *
   * @returns undefined when it is longer than `limit` bytes
   * @throws Problem where too much is held already
   */
  async whole(limit: number): Promise<Buffer | undefined> {
    if (!this.#isRead && !this.isEmpty) {
      this.#isRead = true;
      // Where it stops, the program still gets its answer: its connection stays.
      for await (const chunk of this.source.iterator({ destroyOnReturn: false })) {
        this.#bytes += (chunk as Buffer).length;
        if (this.#bytes > limit) return undefined;
        this.#take((chunk as Buffer).length);
        this.#kept.push(chunk as Buffer);
      }
      this.#hasEnded = true;
    }
    return Buffer.concat(this.#kept);
  }

  #take(bytes: number): void {
    if (this.budget?.take(bytes) === false) throw tooMuchHeld;
    this.#taken += bytes;
  }

  /** It is sent no more: what was kept is given up. */
  release(): void {
    this.budget?.giveBack(this.#taken);
    this.#taken = 0;
    this.#kept.length = 0;
    this.#isReleased = true;
  }

  /** RFC 9112 section 6.3, of a request that the parser has taken: HTTP/2 checks the length against the frames. */
  static of(request: IncomingMessage | Http2ServerRequest, budget?: BodyBudget): StreamedBody {
    const { "content-length": length, "transfer-encoding": coding } = request.headers;
    const isHttp2 = request.httpVersionMajor === 2;
    if (isHttp2 && (request as Http2ServerRequest).stream.endAfterHeaders)
      return new StreamedBody(request, 0);
    const isUnknown = coding !== undefined || (isHttp2 && length === undefined);
    return new StreamedBody(request, isUnknown ? undefined : Number(length ?? 0), budget);
  }

  #keep(chunk: Buffer): Buffer {
    this.#bytes += chunk.length;
    if (this.#bytes <= keptBytes && !this.#isReleased) this.#kept.push(chunk);
    else this.#kept.length = 0;
    return chunk;
  }
}

/** Written and not yet taken: less makes a long body stop and go with every record of TLS. */
const heldBytes = 128 * 1024;

/**
 * Passes on what is read, no faster than it is taken. A pipeline through a Transform costs a fifth of what a small request does.
 *
 * @param atEnd called before the sink ends
 */
export function pump(
  source: Readable,
  sink: Writable,
  { change, last }: Partial<MaskFilter> = {},
  atEnd?: () => void,
): void {
  const pass = (chunk: Buffer): void => {
    const out = change ? change(chunk) : chunk;
    if (out.length > 0 && !sink.write(out) && sink.writableLength > heldBytes) source.pause();
  };
  source.on("data", pass).once("end", () => {
    atEnd?.();
    sink.end(last?.());
  });
  sink.on("drain", () => source.resume()).once("close", () => source.off("data", pass));
}

/** Bytes of request bodies that are held at a time, by one caller and by all together. */
export class BodyBudget {
  #held = 0;

  /** @param all that a caller's part is taken from as well */
  constructor(
    private readonly maxBytes: number,
    private readonly all?: BodyBudget,
  ) {}

  /** @returns whether there was room; nothing is taken otherwise */
  take(bytes: number): boolean {
    if (this.#held + bytes > this.maxBytes || this.all?.take(bytes) === false) return false;
    this.#held += bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#held -= bytes;
    this.all?.giveBack(bytes);
  }
}

/** Of one caller: four of the longest bodies. */
export const maxHeldByCaller = 32 * 1024 * 1024;
/** Of all callers of one daemon. */
export const maxHeldByAll = 96 * 1024 * 1024;
