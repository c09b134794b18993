import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gateway } from "./hostile_answers.js";
import type { HostileServer } from "./hostile_server.js";

/** Name of the header that tells which life of the client a request comes from. */
export const lifeHeader = "x-life";

/** Where in a request the listener asks whether the client is to die. */
export type RequestPoint = "arrived" | "acted";

/** A hostile server on loopback: each provider has its own path, `/<provider>/token`. */
export class HostileListener {
  /** Requests of other lives come from the dead, and are not heard. */
  life = "";
  /** Called at each point of each refresh request; an answer of true drops the request there, and behind a gateway its answer is lost. */
  onPoint: (point: RequestPoint) => boolean | "gateway" = () => false;
  readonly #http: Server;

  constructor(private readonly server: HostileServer) {
    this.#http = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  async open(): Promise<string> {
    await new Promise<void>((resolve) => this.#http.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#http.close(resolve));
    this.#http.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const life = String(request.headers[lifeHeader] ?? "");
    const isHeard = (): boolean => life === this.life;
    if (!isHeard()) return void response.destroy();
    const form = new URLSearchParams(Buffer.concat(chunks).toString("utf8"));
    const isRefresh = form.get("grant_type") === "refresh_token";
    if (isRefresh && this.onPoint("arrived")) return void response.destroy();
    const provider = request.url?.split("/")[1] ?? "";
    const outcome = await this.server.handle(provider, form, isHeard);
    const fate = isRefresh && this.onPoint("acted");
    if (fate === true || outcome === "refused" || outcome === "dropped") return void response.destroy();
    if (fate === "gateway") this.server.lose(form.get("refresh_token") ?? "");
    const reply = fate === "gateway" ? gateway : outcome;
    response.writeHead(reply.status, reply.headers);
    response.end(reply.body);
  }
}
