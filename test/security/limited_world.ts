import { connect as connectSocket, type Socket } from "node:net";
import { onTestFinished } from "vitest";
import { AuthType } from "../../src/gen/nexus/v1/provider_pb.js";
import { Place, TestDaemon } from "../daemon/harness.js";
import { registered, requestOf } from "../daemon/requests.js";

/** A live daemon with some limits set low, and a provider of keys. */
export class LimitedWorld extends TestDaemon {
  providerId = "";

  static async make(limits: Readonly<Record<`NEXUS_${string}`, string>>): Promise<LimitedWorld> {
    const world = new LimitedWorld(await Place.make(limits));
    await world.start();
    onTestFinished(() => world.close());
    world.providerId = await registered(world.clients, { name: "keys", authType: AuthType.BASIC_AUTH });
    return world;
  }

  override async close(): Promise<void> {
    const stopped = super.close();
    // A client that was refused in the middle of its message may keep its stream open: it is cut off.
    this.clock.advance(10_000);
    await stopped;
  }

  /** Stores a connection with a credential; answers its id. */
  async import(userId = "ada", clients = this.clients): Promise<string> {
    const { connection } = await clients.connections.importConnection({
      userId,
      providerId: this.providerId,
      credentials: { username: "me", password: "p" },
    });
    return connection?.id ?? "";
  }

  /** Asks for consent; answers the id of the connection. */
  async request(userId = "ada", clients = this.clients): Promise<string> {
    const { connectionId } = await clients.connections.requestConnection(
      requestOf(this.providerId, { userId }),
    );
    return connectionId;
  }

  async count(): Promise<number> {
    return (await this.clients.connections.listConnections({ pageSize: 1000 })).connections.length;
  }

  /** A REST request with the key. */
  rest(path: string, init: RequestInit = {}): Promise<Response> {
    const headers = {
      "x-api-key": this.place.apiKey,
      ...(init.headers as Record<string, string> | undefined),
    };
    return fetch(`${this.place.httpUrl}${path}`, { ...init, headers });
  }
}

/** A raw socket to `http://host:port` or `unix:path`; everything that comes is kept. */
export class RawSocket {
  readonly socket: Socket;
  received = "";
  readonly closed: Promise<void>;

  constructor(url: string) {
    const { hostname, port } = new URL(url.startsWith("unix:") ? "http://none" : url);
    this.socket = url.startsWith("unix:")
      ? connectSocket(url.slice(5))
      : connectSocket(Number(port), hostname);
    this.socket.on("data", (bytes) => {
      this.received += bytes.toString("latin1");
    });
    this.socket.on("error", () => undefined);
    this.closed = new Promise((resolve) => this.socket.once("close", () => resolve()));
    onTestFinished(() => void this.socket.destroy());
  }

  async connected(): Promise<this> {
    if (this.socket.readyState === "opening") {
      await new Promise((resolve) => this.socket.once("connect", resolve));
    }
    return this;
  }

  /** Resolves when what came matches, or the socket has closed. */
  async until(pattern: RegExp): Promise<string> {
    const came = new Promise<void>((resolve) => {
      const look = (): void => {
        if (pattern.test(this.received)) resolve();
      };
      this.socket.on("data", look);
      look();
    });
    await Promise.race([came, this.closed]);
    return this.received;
  }
}
