import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import { createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { AccessService, Role } from "../../src/gen/nexus/v1/access_pb.js";
import type { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { DaemonProcess } from "../daemon/daemon_process.js";
import { type Clients, freePort, Place } from "../daemon/harness.js";
import { Browser, consent } from "../fakes/browser.js";
import { type OpenIdProvider, startOpenIdProvider } from "../fakes/openid_provider.js";
import type { Variables } from "./programs.js";

/** What reached the stand-in API. */
export interface Arrived {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** `nexusd` as a process, a connection at a certified provider, and an API that notes what reaches it. */
export class ProxyWorld {
  readonly arrived: Arrived[] = [];
  readonly clients: Clients;
  readonly #api: Server;

  private constructor(
    readonly place: Place,
    readonly daemon: DaemonProcess,
    readonly provider: OpenIdProvider,
  ) {
    this.clients = place.clients();
    this.#api = createServer(async (request, response) => {
      let body = "";
      for await (const bytes of request) body += String(bytes);
      const { method = "", url = "", headers } = request;
      this.arrived.push({ method, url, headers, body });
      response.end("hello");
    });
  }

  static async make(): Promise<ProxyWorld> {
    const place = await Place.make();
    const provider = await startOpenIdProvider({ redirectUris: [place.config.redirectUri] });
    const world = new ProxyWorld(place, new DaemonProcess(place.environment), provider);
    await new Promise<void>((resolve) => world.#api.listen(0, "127.0.0.1", resolve));
    await world.daemon.ready();
    return world;
  }

  async close(): Promise<void> {
    await this.daemon.kill("SIGKILL");
    await this.provider.stop();
    this.#api.closeAllConnections();
    await new Promise((resolve) => this.#api.close(resolve));
  }

  /** A connection with a person's consent. */
  async connect(): Promise<string> {
    const { post } = this.provider.clients;
    const { provider } = await this.clients.providers.createProvider({
      provider: {
        name: "op",
        clientId: post.clientId,
        clientSecret: post.clientSecret,
        issuer: this.provider.issuer,
        enableDiscovery: true,
        scopes: ["openid"],
      },
    });
    const requested = await this.clients.connections.requestConnection({
      userId: "ada",
      provider: { case: "providerId", value: provider?.id ?? "" },
    });
    await consent(new Browser(), requested.authUrl);
    return requested.connectionId;
  }

  /** A connection with a static credential. */
  async import(profile: { name: string; authType: AuthType; strategy?: object }, credentials: object) {
    const { provider } = await this.clients.providers.createProvider({ provider: profile as never });
    const { connection } = await this.clients.connections.importConnection({
      userId: "ada",
      providerId: provider?.id ?? "",
      credentials: credentials as never,
    });
    return connection?.id ?? "";
  }

  async token(connectionId: string): Promise<string> {
    const { token } = await this.clients.tokens.getToken({ connectionId });
    return String(token?.credentials["access_token"]);
  }

  /** A key for a proxy, confined to one connection. */
  async key(connectionId: string): Promise<string> {
    const nodeOptions = { createConnection: () => connect(this.place.socket) };
    const access = createClient(
      AccessService,
      createGrpcTransport({ baseUrl: "http://localhost", nodeOptions }),
    );
    const confinement = { connectionIds: [connectionId] };
    return (await access.createApiKey({ name: `proxy-${connectionId}`, role: Role.AGENT, confinement })).key;
  }

  async variables(connectionId: string): Promise<Variables> {
    const { port } = this.#api.address() as AddressInfo;
    return {
      NEXUS_SOCKET: this.place.socket,
      NEXUS_HTTP: new URL(this.place.httpUrl).host,
      NEXUS_CONNECTION_ID: connectionId,
      NEXUS_PROXY_PORT: String(await freePort()),
      NEXUS_API: `127.0.0.1:${port}`,
      NEXUS_API_HOST: "127.0.0.1",
      NEXUS_API_PORT: String(port),
    };
  }

  /** The newest request that reached the API. */
  get last(): Arrived {
    const arrived = this.arrived.at(-1);
    if (!arrived) throw new Error("nothing reached the API");
    return arrived;
  }
}

/** Tries until `check` does not throw, 10 s at most. */
export async function eventually(check: () => Promise<void>): Promise<void> {
  for (let tries = 0; ; tries++) {
    try {
      await check();
      return;
    } catch (error) {
      if (tries === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

export const forged = {
  authorization: "Bearer forged",
  cookie: "session=forged",
  "proxy-authorization": "Basic forged",
  "x-api-key": "forged",
};
