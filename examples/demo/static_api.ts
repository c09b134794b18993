import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { DemoFailure } from "./failure.js";

/** Neither is a secret: this API lives for a minute. */
const firstKey = "demo-key-1";
export const rotatedKey = "demo-key-2";

/** A provider's API that takes one key. */
export class StaticApi {
  /** The key that is accepted now. */
  key = firstKey;

  private constructor(
    readonly url: string,
    private readonly server: Server,
  ) {}

  static async start(): Promise<StaticApi> {
    const server = createServer(({ headers }, response) => {
      const isKnown = headers["x-api-key"] === api.key;
      response.writeHead(isKnown ? 200 : 401, { "content-type": "application/json" });
      response.end(isKnown ? '{"user":"ada"}' : '{"error":"unknown key"}');
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const api = new StaticApi(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, server);
    return api;
  }

  /** Any call would do. */
  async use(key: string | undefined): Promise<void> {
    const { ok, status } = await fetch(`${this.url}/me`, { headers: { "x-api-key": key ?? "" } });
    if (!ok) throw new DemoFailure(`the API does not accept the key: it answers ${status}`);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await once(this.server.close(), "close");
  }
}
