import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface ApiCall {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** What the API does with the next calls: a status, or `hang_up`, or a function of its own. */
export type ApiScript = number | "hang_up" | ((response: ServerResponse, call: ApiCall) => void);

/** A provider's API on loopback that keeps what it was sent, and answers as it is told. */
export class ScriptedApi {
  readonly calls: ApiCall[] = [];
  answer: ApiScript = 200;

  private constructor(
    readonly origin: string,
    private readonly end: () => Promise<void>,
  ) {}

  static async start(): Promise<ScriptedApi> {
    const server = createServer(async (request, response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const { method = "", url: target = "", headers } = request;
      const call = { method, target, headers, body: Buffer.concat(chunks) };
      api.calls.push(call);
      const { answer } = api;
      if (typeof answer === "function") return answer(response, call);
      if (answer === "hang_up") return void request.socket.destroy();
      response.writeHead(answer, { location: "/elsewhere" }).end("{}");
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const api = new ScriptedApi(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, async () => {
      server.closeAllConnections();
      await once(server.close(), "close");
    });
    return api;
  }

  stop(): Promise<void> {
    return this.end();
  }
}
