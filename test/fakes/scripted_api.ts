import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { LoopbackServer } from "./loopback_server.js";

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
export class ScriptedApi extends LoopbackServer {
  readonly calls: ApiCall[] = [];
  answer: ApiScript = 200;

  static start(): Promise<ScriptedApi> {
    return new ScriptedApi().open();
  }

  protected async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method = "", url: target = "", headers } = request;
    const call = { method, target, headers, body: Buffer.concat(chunks) };
    this.calls.push(call);
    const { answer } = this;
    if (typeof answer === "function") answer(response, call);
    else if (answer === "hang_up") request.socket.destroy();
    else response.writeHead(answer, { location: "/elsewhere" }).end("{}");
  }
}
