import { once } from "node:events";
import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import { freePort } from "../free_port.js";

/** One request that the server answered. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  /** The fields of a form; empty for every other body. */
  readonly form: URLSearchParams;
  readonly status: number;
  readonly body: string;
}

/** `before`: the server never gets the request. `after`: the server answers, and its answer is lost. */
export type Moment = "before" | "after";

interface Hold {
  readonly refreshToken: string;
  readonly moment: Moment;
  readonly caught: () => void;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/**
 * Stands before an authorization server at an origin of its own, passes every request on, and notes it. It can be closed, as a server
 * that is down, and can keep one refresh from being answered.
 */
export class CountingProxy {
  readonly exchanges: Exchange[] = [];
  /** Refresh tokens of requests that were held before the server saw them. */
  readonly #dropped: string[] = [];
  readonly #holds: Hold[] = [];
  #server: Server | undefined;

  private constructor(
    readonly port: number,
    private readonly targetPort: number,
  ) {}

  /** @param targetPort where the server listens on 127.0.0.1 */
  static async start(targetPort: number): Promise<CountingProxy> {
    const proxy = new CountingProxy(await freePort(), targetPort);
    await proxy.open();
    return proxy;
  }

  get origin(): string {
    return `http://localhost:${this.port}`;
  }

  async open(): Promise<void> {
    this.#server = createServer((incoming, response) => void this.#serve(incoming, response));
    await once(this.#server.listen(this.port, "127.0.0.1"), "listening");
  }

  /** From here on connections are refused. */
  async close(): Promise<void> {
    this.#server?.closeAllConnections();
    await new Promise((resolve) => this.#server?.close(resolve));
    this.#server = undefined;
  }

  /** Leaves the next refresh with that token unanswered. Resolves when it has come, and the server has answered it if it is to. */
  hold(refreshToken: string, moment: Moment): Promise<void> {
    return new Promise((resolve) => {
      this.#holds.push({ refreshToken, moment, caught: resolve });
    });
  }

  /** Token requests of the grant, the oldest first. */
  grants(
    grantType: "authorization_code" | "refresh_token" | "urn:ietf:params:oauth:grant-type:token-exchange",
  ): Exchange[] {
    return this.exchanges.filter(({ form }) => form.get("grant_type") === grantType);
  }

  /** The last things said at the token and revocation endpoints, and of answers only refusals, for a person who looks for a fault. */
  get recent(): string {
    const posted = this.exchanges.filter(({ form }) => form.has("grant_type") || form.has("token"));
    const lines = posted.slice(-5).map(({ path, form, status, body }) => {
      const asked = form.get("grant_type") ?? "revocation";
      return `  ${path} ${asked}: ${status}${status >= 400 ? ` ${body.slice(0, 300)}` : ""}`;
    });
    return lines.join("\n");
  }

  /** How many requests with that refresh token arrived, those that were dropped included. */
  timesSent(refreshToken: string): number {
    const all = [
      ...this.grants("refresh_token").map(({ form }) => form.get("refresh_token")),
      ...this.#dropped,
    ];
    return all.filter((sent) => sent === refreshToken).length;
  }

  /** Posts a form as somebody else than the daemon: it is not noted. */
  async post(path: string, form: URLSearchParams, headers: IncomingHttpHeaders = {}): Promise<Answer> {
    const type = "application/x-www-form-urlencoded";
    const host = `localhost:${this.port}`;
    const body = Buffer.from(form.toString());
    const length = String(body.length);
    const all = { ...headers, host, "content-type": type, "content-length": length };
    return await this.#ask("POST", path, all, body);
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const body = await read(incoming);
      const isForm = incoming.headers["content-type"]?.startsWith("application/x-www-form-urlencoded");
      const form = new URLSearchParams(isForm ? body.toString() : "");
      const hold = this.#takeHold(form);
      if (hold?.moment === "before") {
        this.#dropped.push(hold.refreshToken);
        hold.caught();
        return;
      }
      const { method = "", url = "", headers } = incoming;
      const answer = await this.#ask(method, url, headers, body);
      const path = url.split("?")[0] ?? "";
      this.exchanges.push({ method, path, form, status: answer.status, body: answer.body.toString() });
      if (hold) {
        hold.caught();
        return;
      }
      response.writeHead(answer.status, answer.headers).end(answer.body);
    } catch {
      // The server is down, or hung up.
      response.destroy();
    }
  }

  #takeHold(form: URLSearchParams): Hold | undefined {
    const index = this.#holds.findIndex(({ refreshToken }) => refreshToken === form.get("refresh_token"));
    return index < 0 ? undefined : this.#holds.splice(index, 1)[0];
  }

  #ask(method: string, path: string, given: IncomingHttpHeaders, body: Buffer): Promise<Answer> {
    return new Promise((resolve, reject) => {
      // What is noted is read.
      const headers = { ...given, "accept-encoding": "identity", connection: "close" };
      const options = { host: "127.0.0.1", port: this.targetPort, method, path, headers };
      const outgoing = request(options, (answer) => {
        const { statusCode: status = 502 } = answer;
        const { connection: _, "transfer-encoding": __, ...kept } = answer.headers;
        read(answer).then((bytes) => resolve({ status, headers: kept, body: bytes }), reject);
      });
      outgoing.on("error", reject).end(body);
    });
  }
}

async function read(message: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of message) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
