import { once } from "node:events";
import { createServer, type IncomingMessage, type RequestListener, request, type Server } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { type AddressInfo, connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import type { Authority } from "./certificates.js";

/** A proxy as companies have: it resolves names itself, here each to this machine, and asks for a password. */
export class FakeWebProxy {
  /** As they came: `CONNECT host:port`, or the method and the whole URL. */
  readonly asked: string[] = [];
  /** What it answers instead of a tunnel. */
  refusal: number | undefined;
  readonly #sockets = new Set<Socket>();

  private constructor(
    private readonly server: Server,
    private readonly scheme: "http" | "https",
    private readonly credentials: string,
  ) {
    const isLetIn = (header: string | undefined): boolean =>
      credentials === "" || header === `Basic ${Buffer.from(credentials).toString("base64")}`;
    server.on("connection", (socket: Socket) =>
      this.#sockets.add(socket.on("error", () => socket.destroy())),
    );
    server.on("connect", ({ url = "", headers }: IncomingMessage, near: Socket, head: Buffer) => {
      this.asked.push(`CONNECT ${url}`);
      near.on("error", () => near.destroy());
      const status = isLetIn(headers["proxy-authorization"]) ? this.refusal : 407;
      if (status !== undefined) return void near.end(`HTTP/1.1 ${status} no\r\ncontent-length: 0\r\n\r\n`);
      const far = connect(Number(url.split(":").at(-1)), "127.0.0.1", () => {
        near.write("HTTP/1.1 200 Connection established\r\nvia: 1.1 proxy\r\n\r\n");
        far.write(head);
        near.pipe(far).pipe(near);
      });
      far.on("error", () => near.destroy());
    });
  }

  /** @param issuer of its certificate, for TLS to the proxy itself @param credentials `user:password` */
  static async start({ issuer, credentials = "" }: { issuer?: Authority; credentials?: string } = {}) {
    const plain: RequestListener = async (given, response) => {
      proxy.asked.push(`${given.method} ${given.url}`);
      if (given.headers["proxy-authorization"] === undefined && credentials !== "")
        return void response.writeHead(407).end();
      const { port, pathname } = new URL(given.url ?? "");
      const sent = request({ host: "127.0.0.1", port, path: pathname, method: given.method });
      sent.end(await text(given));
      sent.once(
        "response",
        (answer) => response.writeHead(answer.statusCode ?? 502) && answer.pipe(response),
      );
      sent.on("error", () => response.destroy());
    };
    const server = issuer
      ? createSecureServer(issuer.issueServer({ ips: ["127.0.0.1"] }), plain)
      : createServer(plain);
    const proxy = new FakeWebProxy(server as Server, issuer ? "https" : "http", credentials);
    await once(server.listen(0, "127.0.0.1"), "listening");
    return proxy;
  }

  /** For `HTTPS_PROXY`. */
  get url(): string {
    const user = this.credentials.split(":").map(encodeURIComponent).join(":");
    const { port } = this.server.address() as AddressInfo;
    return `${this.scheme}://${user === "" ? "" : `${user}@`}127.0.0.1:${port}`;
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.server.close();
    await once(this.server, "close");
  }
}
