import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface ApiCall {
  readonly method: string;
  /** Path and query. */
  readonly target: string;
  readonly headers: IncomingHttpHeaders;
}

/** What the API does with the next calls: a status, or `hang_up`, or a function of its own. */
export type ApiScript = number | "hang_up" | ((call: ApiCall, response: ServerResponse) => void);

/** A provider's API on loopback that answers as it is told. */
export class ScriptedApi {
  readonly calls: ApiCall[] = [];
  script: ApiScript = 200;

  private constructor(
    readonly url: string,
    private readonly end: () => Promise<void>,
  ) {}

  static async start(): Promise<ScriptedApi> {
    const server = createServer((request, response) => {
      const { method = "", url = "", headers } = request;
      const call = { method, target: url, headers };
      api.calls.push(call);
      const { script } = api;
      if (typeof script === "function") return script(call, response);
      if (script === "hang_up") return void request.socket.destroy();
      response.writeHead(script, { location: "/elsewhere" }).end("{}");
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
