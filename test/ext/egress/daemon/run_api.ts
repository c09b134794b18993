import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import type { Http2ServerRequest, Http2ServerResponse } from "node:http2";
import type { Duplex } from "node:stream";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";

/** What every answer ends with. */
export const gotKey = "the API got the key";
/** The first of two events; the API sends the second one when it was seen. */
export const firstEvent = "data: 1";

/** Bodies of the answers at `/large`, and of what is uploaded there. */
const chunk = Buffer.alloc(64 * 1024, "x");

/** What a request uploads: all of it where somebody reads it, else its length. */
export async function uploaded(request: Http2ServerRequest) {
  if (!request.url.includes("/large")) {
    const body = await buffer(request);
    return { body, bytes: body.length };
  }
  let bytes = 0;
  for await (const part of request) bytes += (part as Buffer).length;
  return { body: Buffer.alloc(0), bytes };
}

export function large(bytes: number): Readable {
  return Readable.from(Array(bytes / chunk.length).fill(chunk));
}

/** Two messages of gRPC, the second one when the first was seen. */
export async function answerGrpc(response: Http2ServerResponse, seen: () => Promise<unknown>): Promise<void> {
  const send = (text: string) => {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(text.length, 1);
    response.write(Buffer.concat([head, Buffer.from(text)]));
  };
  response.writeHead(200, { "content-type": "application/grpc" });
  send(firstEvent);
  await seen();
  send(gotKey);
  response.addTrailers({ "grpc-status": "0" });
  response.end();
}

/** A WebSocket (RFC 6455) that answers one short text, and is over. */
export function answerWebSocket({ headers }: IncomingMessage, socket: Duplex, isWelcome: boolean): void {
  if (!isWelcome) return void socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
  const accept = createHash("sha1")
    .update(`${headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
    .digest("base64");
  const head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade";
  socket.on("error", () => socket.destroy()).write(`${head}\r\nsec-websocket-accept: ${accept}\r\n\r\n`);
  socket.once("data", (frame: Buffer) => {
    const [mask, masked] = [frame.subarray(2, 6), frame.subarray(6, 6 + ((frame[1] ?? 0) & 127))];
    const said = Buffer.from(masked.map((byte, at) => byte ^ (mask[at % 4] ?? 0)));
    const text = Buffer.from(`${gotKey} and ${said}`);
    socket.write(Buffer.concat([Buffer.from([0x81, text.length]), text]));
  });
}

/** A turn of a model of OpenAI's Responses API: it has the API asked by the agent's shell, and ends with what that printed. */
function turnOf({ input }: { input: { type: string; output?: string }[] }, url: string) {
  const result = input.find(({ type }) => type === "function_call_output")?.output;
  const call = { type: "function_call", call_id: "1", name: "exec_command" };
  const item =
    result === undefined
      ? { ...call, arguments: JSON.stringify({ cmd: `curl -s ${url}/user` }) }
      : {
          type: "message",
          role: "assistant",
          content: [{ type: "output_text", text: `the model got: ${result.split("\n").at(-2)}` }],
        };
  const usage = { input_tokens: 1, output_tokens: 1, total_tokens: 2 };
  const events = [
    { type: "response.output_item.done", item },
    { type: "response.completed", response: { id: "r", usage } },
  ];
  const lines = events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
  return [lines.join(""), "text/event-stream"] as const;
}

/** What clients read that have a protocol of their own: git's dumb one, registries of npm and cargo, an index of Python packages. */
export function answerTo(path: string, body: Buffer, url: string): readonly [body?: string, type?: string] {
  if (path.endsWith("/responses")) return turnOf(JSON.parse(String(body)), url);
  if (path.startsWith("/v1/repo.git/info/refs")) return [`${"a".repeat(40)}\trefs/heads/main\n`];
  if (path === "/v1/cargo/config.json") return [JSON.stringify({ dl: `${url}/dl` }), "application/json"];
  if (path.startsWith("/v1/cargo/ac/me")) {
    const own = { name: "acme-package", vers: "1.0.0", cksum: "a".repeat(64) };
    return [`${JSON.stringify({ ...own, deps: [], features: {}, yanked: false })}\n`];
  }
  if (path.startsWith("/v1/s3")) {
    const bucket = "<Bucket><Name>the-api-got-the-key</Name></Bucket>";
    const listed = `<ListAllMyBucketsResult><Buckets>${bucket}</Buckets></ListAllMyBucketsResult>`;
    return [listed, "application/xml"];
  }
  if (path.startsWith("/v1/npm/acme-package")) {
    const version = { name: "acme-package", version: "1.0.0", description: gotKey };
    const versions = {
      "1.0.0": { ...version, dist: { tarball: "https://api.localhost/x.tgz", shasum: "" } },
    };
    return [JSON.stringify({ ...version, "dist-tags": { latest: "1.0.0" }, versions }), "application/json"];
  }
  if (path.startsWith("/v1/simple/acme-package"))
    return [
      '<a href="acme_package-1.0.0-py3-none-any.whl">acme_package-1.0.0-py3-none-any.whl</a>',
      "text/html",
    ];
  return [];
}
