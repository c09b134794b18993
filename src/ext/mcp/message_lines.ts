import { Transform, type TransformCallback } from "node:stream";
import { deserializeMessage, STDIO_DEFAULT_MAX_BUFFER_SIZE } from "./tools/sdk.js";

/** JSON-RPC 2.0 section 5.1. */
const parseError = -32700;
const invalidRequest = -32600;
const newline = 0x0a;

/**
 * Passes on the lines that are messages of JSON-RPC 2.0, each with its end. The SDK would drop the others without a word: here a line that
 * is no JSON, or no message, is answered with the error of section 5.1. Its `id` is null where the line does not show one. A response that
 * is broken gets no answer, and an empty line is none.
 */
export class MessageLines extends Transform {
  /** The begin of a line whose end has not come. */
  #begun: Buffer[] = [];
  #begunBytes = 0;

  constructor(
    private readonly deps: {
      /** Takes each answer, its end included. */
      readonly answer: (line: string) => void;
      /** What a client did wrong. */
      readonly onError: (error: Error) => void;
    },
  ) {
    super();
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    let from = 0;
    for (let end = chunk.indexOf(newline); end >= 0; end = chunk.indexOf(newline, from)) {
      this.#begin(chunk.subarray(from, end + 1));
      this.#end();
      from = end + 1;
    }
    this.#begin(chunk.subarray(from));
    // The SDK ends a connection with a longer line, and reports it.
    if (this.#begunBytes > STDIO_DEFAULT_MAX_BUFFER_SIZE) this.push(this.#taken());
    done();
  }

  override _flush(done: TransformCallback): void {
    if (this.#begunBytes > 0) this.#end();
    done();
  }

  #begin(part: Buffer): void {
    this.#begun.push(part);
    this.#begunBytes += part.length;
  }

  #taken(): Buffer {
    const line = Buffer.concat(this.#begun);
    this.#begun = [];
    this.#begunBytes = 0;
    return line;
  }

  #end(): void {
    const line = this.#taken();
    const text = line.toString("utf8").trim();
    if (text === "") return;
    const fault = faultOf(text);
    if (fault === undefined) this.push(`${text}\n`);
    else this.#refuse(fault);
  }

  #refuse({ code, message, id }: Fault): void {
    this.deps.onError(new Error(`a line on standard input is refused (${code}): ${message}`));
    if (id === undefined) return;
    this.deps.answer(`${JSON.stringify({ jsonrpc: "2.0", id, error: { code, message } })}\n`);
  }
}

interface Fault {
  readonly code: number;
  readonly message: string;
  /** Undefined where nobody waits for an answer. */
  readonly id: string | number | null | undefined;
}

/** What is wrong with a line; its text is in no message. */
function faultOf(text: string): Fault | undefined {
  try {
    deserializeMessage(text);
    return undefined;
  } catch (error) {
    if (error instanceof SyntaxError) {
      return { code: parseError, message: "Parse error: the line is not valid JSON", id: null };
    }
    const message = "Invalid Request: the line is not a JSON-RPC 2.0 message";
    return { code: invalidRequest, message, id: idOf(JSON.parse(text)) };
  }
}

function idOf(value: unknown): Fault["id"] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return null;
  if (!("method" in value) && ("result" in value || "error" in value)) return undefined;
  const { id } = value as { readonly id?: unknown };
  return typeof id === "string" || typeof id === "number" ? id : null;
}
