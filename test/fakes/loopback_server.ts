import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A server over HTTP on loopback, whose answers its class gives. */
export abstract class LoopbackServer {
  readonly #http = createServer((request, response) => void this.serve(request, response));

  protected abstract serve(request: IncomingMessage, response: ServerResponse): unknown;

  async open(port = 0, host = "127.0.0.1"): Promise<this> {
    await once(this.#http.listen(port, host), "listening");
    return this;
  }

  get origin(): string {
    const { address, port } = this.#http.address() as AddressInfo;
    return `http://${address}:${port}`;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#http.close(resolve));
    this.#http.closeAllConnections();
    await closed;
  }
}
