import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** A request as the API got it. */
export interface ApiCall {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

export interface ApiAnswer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
}

const ok: ApiAnswer = { status: 200 };

/** A provider's API, which answers as a case wants. Every body is the JSON of an empty message, so that Connect takes it too. */
export class ScriptedApi {
  readonly calls: ApiCall[] = [];
  #answer: (call: ApiCall) => ApiAnswer = () => ok;
  readonly #server = createServer((request, response) => {
    void (async () => {
      const { method = "", url = "", headers } = request;
      const call = { method, path: url, headers, body: await text(request) };
      this.calls.push(call);
      const answer = this.#answer(call);
      response.writeHead(answer.status, { "content-type": "application/json", ...answer.headers }).end("{}");
    })();
  });

  static async start(): Promise<ScriptedApi> {
    const api = new ScriptedApi();
    await once(api.#server.listen(0, "127.0.0.1"), "listening");
    return api;
  }

  get origin(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Forgets its calls, and answers like this from now on. */
  become(answer: (call: ApiCall) => ApiAnswer = () => ok): void {
    this.calls.length = 0;
    this.#answer = answer;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

/** The bearer token of a call. */
export function bearerOf(call: ApiCall | undefined): string | undefined {
  return /^Bearer (.+)$/.exec(call?.headers.authorization ?? "")?.[1];
}
