import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createSecureServer, type Settings } from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { text } from "node:stream/consumers";
import { Authority } from "../../fakes/certificates.js";

export interface Received {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
  readonly version: string;
}

/** An API over TLS at `api.localhost`, `up.localhost`, `other.localhost` and, behind a proxy, `api.corp.test`, that notes what it gets. */
export class ApiStandIn {
  readonly received: Received[] = [];
  /** Echoes nothing by itself. */
  respond: (request: Received, response: ServerResponse) => void = (_, response) => void response.end("ok");
  /** Instead of `respond`, with the body as it comes. */
  serve: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
  refusesUpgrades = false;
  /** What an upgrade with this key gets, instead of being refused or made. */
  upgradesWith: (key: unknown) => string | undefined = () => undefined;
  /** Has both ways of a WebSocket. */
  upgraded: (socket: Duplex) => void = (socket) => void socket.pipe(socket);

  private constructor(
    readonly port: number,
    /** PEM. */
    readonly ca: string,
    readonly stop: () => Promise<void>,
  ) {}

  /** @param settings of HTTP/2 */
  static async start(settings: Settings = {}, issuer = new Authority()): Promise<ApiStandIn> {
    const names = ["api.localhost", "up.localhost", "other.localhost", "api.corp.test"];
    const { cert, key } = issuer.issueServer({ dns: names });
    const server = createSecureServer({ cert, key, allowHTTP1: true, settings }, (...pair) => {
      const [request, response] = pair as unknown as [IncomingMessage, ServerResponse];
      if (api.serve) api.serve(request, response);
      else void api.#receive(request, response);
    });
    const sockets = new Set<Socket>();
    server.on("connection", (socket: Socket) => sockets.add(socket));
    server.on("upgrade", ({ headers }, socket) => {
      const answer = api.upgradesWith(headers["x-api-key"]);
      if (answer !== undefined) return void socket.end(answer);
      if (api.refusesUpgrades) {
        const why = `not for you, ${headers["x-api-key"]}`;
        const chunk = `${why.length.toString(16)}\r\n${why}\r\n0\r\n\r\n`;
        const head = `HTTP/1.1 403 Forbidden\r\nx-echo: ${headers["x-api-key"]}\r\nconnection: close`;
        return void socket.end(`${head}\r\ntransfer-encoding: chunked\r\n\r\n${chunk}`);
      }
      socket.write("HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n");
      api.upgraded(socket);
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    const api: ApiStandIn = new ApiStandIn(port, issuer.pem, async () => {
      for (const socket of sockets) socket.destroy();
      const closed = once(server, "close");
      server.close();
      await closed;
    });
    return api;
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = "", url: path = "", headers, httpVersion: version } = request;
    const received = { method, path, headers, body: await text(request), version };
    this.received.push(received);
    this.respond(received, response);
  }
}
