import { writeFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { Role } from "../../src/gen/nexus/v1/access_pb.js";
import { type AuthType, DpopMode } from "../../src/gen/nexus/v1/provider_pb.js";
import { DaemonProcess } from "../daemon/daemon_process.js";
import { type Clients, Place } from "../daemon/harness.js";
import { consented, registeredAt, requestOf } from "../daemon/requests.js";
import { Authority } from "../fakes/certificates.js";
import { type OpenIdProvider, startOpenIdProvider } from "../fakes/openid_provider.js";
import { freePort } from "../free_port.js";
import { temporaryFolder } from "../temporary_folder.js";
import type { Variables } from "./programs.js";

/** What reached the stand-in API. */
export interface Arrived {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
  /** What the proxy said in its handshake that it calls. */
  readonly serverName: string | false;
}

/** `nexusd` as a process, a connection at a certified provider, and an API over TLS that notes what reaches it. */
export class ProxyWorld {
  readonly arrived: Arrived[] = [];
  readonly clients: Clients;
  /** Of an authority that issued nothing here. */
  readonly otherCaFile: string;
  /** Requests that the API refuses from now on, with this challenge. */
  readonly refusals: { status: number; challenge: string; nonce?: string }[] = [];
  readonly #api: Server;
  #providerId: Promise<string> | undefined;
  #boundId: Promise<string> | undefined;
  #keys = 0;

  private constructor(
    readonly place: Place,
    public daemon: DaemonProcess,
    readonly provider: OpenIdProvider,
    private readonly ca: Authority,
  ) {
    this.clients = place.clients();
    this.otherCaFile = written("other-ca.crt", new Authority("Other CA").pem);
    // It is known by its name alone.
    this.#api = createServer(ca.issue({ dns: ["localhost"] }), async (request, response) => {
      let body = "";
      for await (const bytes of request) body += String(bytes);
      const { method = "", url = "", headers, socket } = request;
      const { servername } = socket as TLSSocket & { servername: string | false };
      this.arrived.push({ method, url, headers, body, serverName: servername });
      const refusal = this.refusals.shift();
      const { status = 200, challenge = "", nonce } = refusal ?? {};
      const said = { "www-authenticate": challenge, ...(nonce === undefined ? {} : { "dpop-nonce": nonce }) };
      if (refusal) response.writeHead(status, said).end("refused");
      else response.end("hello");
    });
  }

  static async make(): Promise<ProxyWorld> {
    const ca = new Authority("Proxy CA");
    const { cert, key } = ca.issueServer();
    const folder = temporaryFolder();
    const place = await Place.make({
      NEXUS_DATA_DIR: folder,
      NEXUS_HTTP_LISTEN: `127.0.0.1:${await freePort()},unix:${join(folder, "http.sock")}`,
      NEXUS_TLS_CERT_FILE: written("tls.crt", cert),
      NEXUS_TLS_KEY_FILE: written("tls.key", key),
      NEXUS_TLS_LISTENERS: "grpc,http",
    });
    const redirectUris = [`${place.config.redirectUri}/op`];
    const provider = await startOpenIdProvider({ redirectUris, dpop: {} });
    const world = new ProxyWorld(place, new DaemonProcess(place.environment), provider, ca);
    await new Promise<void>((resolve) => world.#api.listen(0, "127.0.0.1", resolve));
    await world.daemon.ready();
    return world;
  }

  /** Kills the daemon, and starts it again. */
  async restartDaemon(meanwhile: () => Promise<void>): Promise<void> {
    await this.daemon.kill("SIGKILL");
    await meanwhile();
    this.daemon = new DaemonProcess(this.place.environment);
    await this.daemon.ready();
  }

  async close(): Promise<void> {
    await this.daemon.kill("SIGKILL");
    await this.provider.stop();
    this.#api.closeAllConnections();
    await new Promise((resolve) => this.#api.close(resolve));
  }

  /** A connection with a person's consent. */
  async connect(): Promise<string> {
    this.#providerId ??= registeredAt(this.provider, this.clients);
    const providerId = await this.#providerId;
    return await consented(this.clients, requestOf(providerId));
  }

  /** The same, whose token is bound to a key. */
  async connectBound(): Promise<string> {
    const more = { name: "bound", oauth2Options: { dpop: DpopMode.ALWAYS } };
    this.#boundId ??= registeredAt(this.provider, this.clients, more);
    return await consented(this.clients, requestOf(await this.#boundId));
  }

  /** A connection with a static credential. */
  async import(profile: { name: string; authType: AuthType; strategy?: object }, credentials: object) {
    const { providers, connections } = this.clients;
    // The profile of an earlier test is as good.
    const known = await providers.listProviders({ namePrefix: profile.name });
    const provider =
      known.providers[0] ?? (await providers.createProvider({ provider: profile as never })).provider;
    const { connection } = await connections.importConnection({
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

  /** A key for a proxy, restricted to one connection. */
  async #key(connectionId: string): Promise<string> {
    const restriction = { connectionIds: [connectionId] };
    const name = `proxy-${this.#keys++}`;
    return (await this.clients.access.createApiKey({ name, role: Role.AGENT, restriction })).key;
  }

  async variables(connectionId: string): Promise<Variables> {
    const { port } = this.#api.address() as AddressInfo;
    return {
      NEXUS_SOCKET: this.place.socket,
      NEXUS_HTTP_SOCKET: join(this.place.config.dataDir, "http.sock"),
      NEXUS_HTTP: `http://unix:${join(this.place.config.dataDir, "http.sock")}:`,
      NEXUS_CA_FILE: written("ca.crt", this.ca.pem),
      NEXUS_KEY: await this.#key(connectionId),
      NEXUS_CONNECTION_ID: connectionId,
      NEXUS_PROXY_PORT: String(await freePort()),
      NEXUS_API_HOST: "localhost",
      NEXUS_API_PORT: String(port),
      NEXUS_API_CA: written("api-ca.crt", this.ca.pem),
    };
  }

  /** The newest request that reached the API. */
  get last(): Arrived {
    const arrived = this.arrived.at(-1);
    if (!arrived) throw new Error("nothing reached the API");
    return arrived;
  }
}

function written(name: string, text: string): string {
  const file = join(temporaryFolder(), name);
  writeFileSync(file, text);
  return file;
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
