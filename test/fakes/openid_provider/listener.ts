import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { setImmediate as nextTurn } from "node:timers/promises";
import { escapeHtml, show, unavailable } from "./page.js";

export type Handler = (request: IncomingMessage, response: ServerResponse) => Promise<void> | void;

/** One address, opened and closed at will. */
export class Listener {
  port = 0;
  #server: Server | undefined;
  #handler: Handler = (_request, response) => unavailable(response);

  serve(handler: Handler): void {
    this.#handler = handler;
  }

  async open(port: number): Promise<void> {
    if (this.#server !== undefined) return;
    const server = createServer((request, response) => {
      Promise.resolve(this.#handler(request, response)).catch((violation: unknown) => {
        if (!response.headersSent)
          show(response, 400, "The provider refuses", `<p>${escapeHtml(String(violation))}</p>`);
        else response.destroy();
      });
    });
    this.#server = server;
    try {
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, "127.0.0.1", resolve);
      });
    } catch (violation) {
      this.#server = undefined;
      throw violation;
    }
    this.port = (server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
    // A client in this process learns in the next turn of the loop that its pooled connections are dead.
    await nextTurn();
    await nextTurn();
  }
}
