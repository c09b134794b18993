import { once } from "node:events";
import { type AddressInfo, createServer as createPlainServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { Authority } from "../../../fakes/certificates.js";

/** A request as a strict reader of HTTP/1.1 finds it in the bytes of its connection. */
export interface RawRequest {
  /** Which connection brought it, from 1. */
  readonly connection: number;
  /** The request line and the fields, as they came. */
  readonly head: string;
  /** Without its frame. */
  readonly body: string;
}

/**
 * An API of HTTP/1.1 alone, by hand, at `api.localhost`. It keeps every byte, takes what no frame announces for the next request, as servers do,
 * and answers each request.
 */
export class RawApi {
  readonly requests: RawRequest[] = [];
  connections = 0;
  /** Of all connections, one after the other. */
  log = "";
  /** The bytes of the answer. */
  respond: (request: RawRequest) => string = ({ head }) =>
    `HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n${head.startsWith("HEAD ") ? "" : "ok"}`;
  /** Answers a request when its head has come, as servers do that refuse it, and reads its body afterwards. */
  isEarly = false;
  readonly #sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    readonly port: number,
    /** PEM; empty without TLS. */
    readonly ca: string,
  ) {}

  static async start({ isPlain = false } = {}): Promise<RawApi> {
    const issuer = new Authority("Raw CA");
    const accept = (socket: Socket): void => api.#accept(socket);
    const server = isPlain
      ? createPlainServer(accept)
      : createTlsServer(
          { ...issuer.issueServer({ dns: ["api.localhost"] }), ALPNProtocols: ["http/1.1"] },
          accept,
        );
    await once(server.listen(0, "127.0.0.1"), "listening");
    const api: RawApi = new RawApi(server, (server.address() as AddressInfo).port, isPlain ? "" : issuer.pem);
    return api;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket);
    const connection = ++this.connections;
    let rest = "";
    let early: string | undefined;
    socket.on("error", () => undefined).once("close", () => this.#sockets.delete(socket));
    socket.on("data", (bytes: Buffer) => {
      this.log += bytes.toString("latin1");
      rest += bytes.toString("latin1");
      for (;;) {
        const [head] = /^[\s\S]*?\r\n\r\n/.exec(rest) ?? [];
        if (head !== undefined && this.isEarly && early !== head) {
          early = head;
          socket.write(this.respond({ connection, head, body: "" }));
        }
        const read = head === undefined ? undefined : bodyIn(head, rest.slice(head.length));
        if (head === undefined || read === undefined) return;
        early = undefined;
        rest = rest.slice(head.length + read.bytes);
        const request = { connection, head, body: read.body };
        this.requests.push(request);
        if (!this.isEarly) socket.write(this.respond(request));
      }
    });
  }
}

/** RFC 9112 section 6.3. @returns undefined where more must come */
function bodyIn(head: string, rest: string): { readonly body: string; readonly bytes: number } | undefined {
  if (/^transfer-encoding: *chunked\r$/im.test(head)) return chunksIn(rest);
  const bytes = Number(/^content-length: *(\d+)\r$/im.exec(head)?.[1] ?? 0);
  return rest.length < bytes ? undefined : { body: rest.slice(0, bytes), bytes };
}

function chunksIn(rest: string): { readonly body: string; readonly bytes: number } | undefined {
  let body = "";
  for (let at = 0; ; ) {
    const [line, hex] = /^([0-9a-f]+)\r\n/i.exec(rest.slice(at)) ?? [];
    if (line === undefined || hex === undefined) return undefined;
    at += line.length;
    const bytes = Number.parseInt(hex, 16);
    if (bytes === 0) {
      // Its trailers end with an empty line.
      const end = rest.indexOf("\r\n", at) === at ? at : rest.indexOf("\r\n\r\n", at) + 2;
      return end < at || rest.length < end + 2 ? undefined : { body, bytes: end + 2 };
    }
    if (rest.length < at + bytes + 2) return undefined;
    body += rest.slice(at, at + bytes);
    at += bytes + 2;
  }
}
