import { createHash, createHmac } from "node:crypto";
import { Sha256 } from "@aws-crypto/sha256-js";
import { getSigningKey } from "@smithy/signature-v4";
import type { AwsSigV4Strategy } from "../model/credentials/strategy.js";
import { type Credentials, readCredential } from "./credential_fields.js";
import { StrategyError } from "./strategy_error.js";

/** Of one chunk, which is held until it is signed. The SDKs of AWS send 64 to 128 KiB. */
const maxChunkBytes = 8 * 1024 * 1024;
/** Of a chunk's first line, and of the lines behind the last chunk. */
const maxLineBytes = 4 * 1024;
const lineEnd = "\r\n";

/** The bodies that `AwsChunks` can sign, as `x-amz-content-sha256` names them. */
export const signedChunkForms = [
  "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
  "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
];

/**
 * Signs the chunks of a body (`aws-chunked`) once more, for a request that was signed with other keys. The body keeps its length.
 *
 * https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html
 */
export class AwsChunks {
  #held: Buffer = Buffer.alloc(0);
  /** Of the chunk that is read; undefined while its first line is. */
  #chunk: { readonly size: string; readonly bytes: number } | undefined;
  #trailers: string[] | undefined;
  #isOver = false;

  private constructor(
    private readonly key: Uint8Array,
    private readonly date: string,
    private readonly scope: string,
    /** Of what came before; each signature covers it. */
    private signature: string,
  ) {}

  /**
   * @param headers of the request, signed with `credentials`
   * @throws StrategyError
   */
  static async of(
    headers: Readonly<Record<string, string>>,
    { service, region }: AwsSigV4Strategy,
    credentials: Credentials,
  ): Promise<AwsChunks> {
    const { authorization = "", "x-amz-date": date = "" } = headers;
    const [, signature = ""] = /\bSignature=([0-9a-f]+)$/.exec(authorization) ?? [];
    const day = date.slice(0, 8);
    const keys = {
      accessKeyId: readCredential(credentials, "access_key"),
      secretAccessKey: readCredential(credentials, "secret_key"),
    };
    const key = await getSigningKey(Sha256, keys, day, region, service);
    return new AwsChunks(key, date, `${day}/${region}/${service}/aws4_request`, signature);
  }

  /** @returns what is complete, signed @throws StrategyError */
  change(part: Buffer): Buffer {
    this.#held = this.#held.length === 0 ? part : Buffer.concat([this.#held, part]);
    const out: Buffer[] = [];
    for (let next = this.#next(); next; next = this.#next()) out.push(next);
    return Buffer.concat(out);
  }

  /** @throws StrategyError where the body is not whole */
  last(): undefined {
    if (!this.#isOver || this.#held.length > 0) throw malformed();
  }

  /** Undefined where more must come first. */
  #next(): Buffer | undefined {
    if (this.#isOver) return undefined;
    if (this.#chunk) return this.#data(this.#chunk);
    const line = this.#line();
    if (line === undefined) return undefined;
    if (this.#trailers) return this.#trailer(line, this.#trailers);
    const [, size = "", rest] = /^([0-9a-f]{1,8});chunk-signature=[0-9a-f]{64}(.*)$/i.exec(line) ?? [];
    const bytes = Number.parseInt(size, 16);
    if (rest !== "") throw malformed();
    if (bytes > maxChunkBytes) throw malformed(`a chunk has more than ${maxChunkBytes} bytes`);
    if (bytes > 0) {
      this.#chunk = { size, bytes };
      return Buffer.alloc(0);
    }
    this.#trailers = [];
    return Buffer.from(this.#headOf(size, Buffer.alloc(0)));
  }

  #data({ size, bytes }: { readonly size: string; readonly bytes: number }): Buffer | undefined {
    if (this.#held.length < bytes + lineEnd.length) return undefined;
    const data = this.#held.subarray(0, bytes);
    if (this.#held.toString("latin1", bytes, bytes + lineEnd.length) !== lineEnd) throw malformed();
    this.#held = this.#held.subarray(bytes + lineEnd.length);
    this.#chunk = undefined;
    return Buffer.concat([Buffer.from(this.#headOf(size, data)), data, Buffer.from(lineEnd)]);
  }

  #headOf(size: string, data: Buffer): string {
    this.#sign("AWS4-HMAC-SHA256-PAYLOAD", `${hashOf("")}\n${hashOf(data)}`);
    return `${size};chunk-signature=${this.signature}${lineEnd}`;
  }

  /** A line behind the last chunk; an empty one ends the body. */
  #trailer(line: string, before: string[]): Buffer {
    if (line === "") this.#isOver = true;
    if (!/^x-amz-trailer-signature:/i.test(line)) {
      before.push(line);
      return Buffer.from(`${line}${lineEnd}`);
    }
    const signed = before.map((one) => {
      const [name = "", ...value] = one.split(":");
      return `${name.trim().toLowerCase()}:${value.join(":").trim()}\n`;
    });
    this.#sign("AWS4-HMAC-SHA256-TRAILER", hashOf(signed.sort().join("")));
    return Buffer.from(`x-amz-trailer-signature:${this.signature}${lineEnd}`);
  }

  #sign(algorithm: string, hashes: string): void {
    const text = [algorithm, this.date, this.scope, this.signature, hashes].join("\n");
    this.signature = createHmac("sha256", this.key).update(text).digest("hex");
  }

  #line(): string | undefined {
    const end = this.#held.indexOf(lineEnd);
    if (Math.max(end, end < 0 ? this.#held.length : 0) > maxLineBytes) throw malformed();
    if (end < 0) return undefined;
    const line = this.#held.toString("latin1", 0, end);
    this.#held = this.#held.subarray(end + lineEnd.length);
    return line;
  }
}

function hashOf(data: string | Buffer): string {
  return createHash("sha256").update(data).digest("hex");
}

function malformed(why = "its chunks are not as x-amz-content-sha256 says"): StrategyError {
  return new StrategyError("invalid_request", "body", `cannot be signed: ${why}`);
}
