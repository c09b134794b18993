import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { FleetService } from "../../../gen/nexus/fleet/v1/fleet_pb.js";
import { steady } from "../../../runtime/runtime.js";
import { connectToHub, type LinkKeys } from "./link_tls.js";

/** The hub cannot be reached, so that nothing was sent. */
export class HubUnreachable extends Error {
  override readonly name = "HubUnreachable";
}

/** A link that went dead is noticed in eight seconds. */
const defaultKeepAlive = { pingIntervalMs: 5_000, pingTimeoutMs: 3_000, idleConnectionTimeoutMs: 300_000 };

/** The one connection to another hub, opened at the first call. */
export class HubChannel {
  readonly #sessions: Http2SessionManager;
  readonly #client: Client<typeof FleetService>;

  /** @param address `host:port`, or `[address]:port` */
  constructor(
    readonly address: string,
    keys: LinkKeys,
    keepAlive = defaultKeepAlive,
  ) {
    const url = new URL(`https://${address}`);
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const port = url.port === "" ? 443 : Number(url.port);
    const createConnection = () => connectToHub({ kind: "tcp", host, port }, keys);
    this.#sessions = steady(new Http2SessionManager(url, keepAlive, { createConnection }), keepAlive);
    const transport = createGrpcTransport({ baseUrl: url.origin, sessionManager: this.#sessions });
    this.#client = createClient(FleetService, transport);
  }

  /** The client of a connection that is open. @throws HubUnreachable */
  async open(): Promise<Client<typeof FleetService>> {
    if ((await this.#sessions.connect()) === "error")
      throw new HubUnreachable(`no connection to the hub at ${this.address}`, {
        cause: this.#sessions.error(),
      });
    return this.#client;
  }

  close(): void {
    this.#sessions.abort();
  }
}
