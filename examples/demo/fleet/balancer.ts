import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** Instead of a load balancer: each new connection goes to the next hub that takes it. */
export class Balancer {
  /** Ports of the hubs on 127.0.0.1. */
  ports: readonly number[] = [];
  readonly #sockets = new Set<Socket>();
  #turn = 0;

  private constructor(private readonly server: Server) {}

  static async start(): Promise<Balancer> {
    const server = createServer();
    await once(server.listen(0, "127.0.0.1"), "listening");
    const balancer = new Balancer(server);
    server.on("connection", (client) => balancer.#lead(client, balancer.ports.length));
    return balancer;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await once(this.server.close(), "close");
  }

  #lead(client: Socket, triesLeft: number): void {
    const port = this.ports[this.#turn++ % this.ports.length];
    if (port === undefined || triesLeft === 0) return void client.destroy();
    const hub = connect(port, "127.0.0.1");
    this.#keep(client);
    this.#keep(hub);
    hub.once("error", () => {
      if (hub.bytesWritten === 0) this.#lead(client, triesLeft - 1);
      else client.destroy();
    });
    hub.once("connect", () => {
      client.pipe(hub).pipe(client);
      client.once("close", () => hub.destroy());
      hub.once("close", () => client.destroy());
    });
  }

  #keep(socket: Socket): void {
    if (this.#sockets.has(socket)) return;
    this.#sockets.add(socket);
    socket.on("error", () => undefined);
    socket.once("close", () => this.#sockets.delete(socket));
  }
}
