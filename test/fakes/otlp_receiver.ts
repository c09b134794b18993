import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { gunzipSync } from "node:zlib";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { LoopbackServer } from "./loopback_server.js";

export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for the first of a trace. */
  readonly parentSpanId: string;
  readonly traceState: string;
  readonly name: string;
  /** 1 internal, 2 server, 3 client. */
  readonly kind: number;
  readonly attributes: Readonly<Record<string, string | number>>;
  /** 2 when it failed. */
  readonly status: number;
  readonly durationNs: bigint;
  /** Of its resource. */
  readonly resource: Readonly<Record<string, string | number>>;
}

/** Takes traces as an OTLP collector does: `POST /v1/traces`, HTTP with protobuf. */
export class OtlpReceiver extends LoopbackServer {
  readonly spans: ReceivedSpan[] = [];
  /** As they came. */
  readonly bodies: Buffer[] = [];
  readonly requests: { readonly path: string; readonly headers: IncomingHttpHeaders }[] = [];
  /** What requests are answered with; `undefined`: nothing, and the connection stays. */
  status: number | undefined = 200;
  readonly #looks = new Set<() => void>();

  static start(): Promise<OtlpReceiver> {
    return new OtlpReceiver().open();
  }

  protected async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const raw = Buffer.concat(chunks);
    const body = request.headers["content-encoding"] === "gzip" ? gunzipSync(raw) : raw;
    this.requests.push({ path: request.url ?? "", headers: request.headers });
    this.bodies.push(body);
    this.spans.push(...spansOf(body));
    for (const look of this.#looks) look();
    if (this.status === undefined) return;
    response.writeHead(this.status, { "content-type": "application/x-protobuf" }).end();
  }

  /** The first span that passes, waited for. */
  span(pass: (span: ReceivedSpan) => boolean): Promise<ReceivedSpan> {
    return new Promise((resolve) => {
      const look = (): void => {
        const found = this.spans.find(pass);
        if (!found) return;
        this.#looks.delete(look);
        resolve(found);
      };
      this.#looks.add(look);
      look();
    });
  }
}

/** A field as it lies in a message, by opentelemetry/proto/trace/v1/trace.proto and its neighbours. */
type Field = Uint8Array | bigint | number;

function fieldsOf(bytes: Uint8Array): Map<number, Field[]> {
  const reader = new BinaryReader(bytes);
  const fields = new Map<number, Field[]>();
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const value = readValue(reader, wireType);
    fields.set(number, [...(fields.get(number) ?? []), value]);
  }
  return fields;
}

function readValue(reader: BinaryReader, wireType: WireType): Field {
  if (wireType === WireType.LengthDelimited) return reader.bytes();
  if (wireType === WireType.Bit64) return BigInt(reader.fixed64());
  if (wireType === WireType.Bit32) return reader.fixed32();
  if (wireType === WireType.Varint) return BigInt(reader.int64());
  throw new Error(`no field of OTLP has the wire type ${wireType}`);
}

function spansOf(body: Buffer): ReceivedSpan[] {
  return messages(fieldsOf(body), 1).flatMap((resourceSpans) => {
    const [resource] = messages(resourceSpans, 1);
    const attributes = resource ? attributesOf(resource, 1) : {};
    return messages(resourceSpans, 2)
      .flatMap((scopeSpans) => messages(scopeSpans, 2))
      .map((span) => spanOf(span, attributes));
  });
}

function spanOf(span: Map<number, Field[]>, resource: ReceivedSpan["resource"]): ReceivedSpan {
  const [status] = messages(span, 15);
  const time = (number: number): bigint => BigInt((span.get(number)?.[0] as bigint | undefined) ?? 0n);
  return {
    traceId: bytes(span, 1).toString("hex"),
    spanId: bytes(span, 2).toString("hex"),
    traceState: bytes(span, 3).toString(),
    parentSpanId: bytes(span, 4).toString("hex"),
    name: bytes(span, 5).toString(),
    kind: Number(span.get(6)?.[0] ?? 0),
    attributes: attributesOf(span, 9),
    status: Number(status?.get(3)?.[0] ?? 0),
    durationNs: time(8) - time(7),
    resource,
  };
}

function attributesOf(message: Map<number, Field[]>, number: number): Record<string, string | number> {
  return Object.fromEntries(
    messages(message, number).map((pair) => {
      const [value] = messages(pair, 2);
      const text = value?.get(1)?.[0];
      const shown = text instanceof Uint8Array ? Buffer.from(text).toString() : Number(value?.get(3)?.[0]);
      return [bytes(pair, 1).toString(), shown];
    }),
  );
}

function messages(message: Map<number, Field[]>, number: number): Map<number, Field[]>[] {
  return (message.get(number) ?? []).map((value) => fieldsOf(value as Uint8Array));
}

function bytes(message: Map<number, Field[]>, number: number): Buffer {
  return Buffer.from((message.get(number)?.[0] as Uint8Array | undefined) ?? []);
}
