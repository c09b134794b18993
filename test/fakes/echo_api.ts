import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface ReceivedCall {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** A provider's API on loopback that keeps what it was sent with its body. */
export class EchoApi {
  readonly calls: ReceivedCall[] = [];
  answer: (response: ServerResponse, call: ReceivedCall) => void = (response) =>
    response.writeHead(200, { "content-type": "application/json" }).end('{"login":"ada"}');

  private constructor(
    readonly origin: string,
    private readonly end: () => Promise<void>,
  ) {}

  static async start(): Promise<EchoApi> {
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { method = "", url: target = "", headers } = request;
      const call = { method, target, headers, body: Buffer.concat(chunks) };
      api.calls.push(call);
      api.answer(response, call);
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const api = new EchoApi(origin, async () => {
      server.closeAllConnections();
      await once(server.close(), "close");
    });
    return api;
  }

  stop(): Promise<void> {
    return this.end();
  }
}
