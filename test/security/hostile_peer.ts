import { type ClientHttp2Session, connect as connectHttp2, constants } from "node:http2";
import { connect, type Socket } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { WatchTokensRequestSchema } from "../../src/gen/nexus/v1/token_pb.js";

/** What the parent tells this process: where the listeners are, and with which key a caller that turned hostile comes. */
interface Target {
  readonly grpcPort: number;
  readonly httpPort: number;
  readonly browserPort: number;
  readonly opsPort: number;
  readonly apiKey: string;
}

/** How much of each, at the same time. */
const counts = {
  silent: 2_000,
  idleSessions: 100,
  slowHeaders: 200,
  unreadSessions: 10,
  unreadStreams: 20,
  resetters: 2,
  /** Without a credential; one after the other, as many at a time as the daemon lets live. */
  documentSessions: 10_000,
  documentSessionsAtOnce: 100,
  documentStreams: 20,
  /** With the key, and reading: what a busy daemon serves. */
  ordinarySessions: 6_000,
};

const headers = (target: Target, path: string) => ({
  ":method": "POST",
  ":path": path,
  "content-type": "application/grpc",
  te: "trailers",
  "x-api-key": target.apiKey,
});

const ignore = (): void => undefined;

/** One flood, until it is stopped. */
class Flood {
  readonly #sockets = new Set<Socket>();
  readonly #sessions = new Set<ClientHttp2Session>();
  readonly #timers: NodeJS.Timeout[] = [];
  #stopped = false;
  resets = 0;
  /** Connections that the daemon ended. */
  cuts = 0;

  constructor(private readonly target: Target) {}

  async start(kind: FloodKind): Promise<void> {
    const { grpcPort, httpPort, browserPort, opsPort } = this.target;
    if (kind === "documents") return await this.#documents(httpPort, counts.documentSessions);
    if (kind === "ordinary")
      return await this.#documents(httpPort, counts.ordinarySessions, this.target.apiKey);
    if (kind === "resets") {
      for (let i = 0; i < counts.resetters; i++) this.#reset(i % 2 === 0 ? grpcPort : httpPort);
      return;
    }
    const ports = [grpcPort, httpPort, browserPort, opsPort];
    const opened: Promise<void>[] = [];
    for (let i = 0; i < counts.silent; i++) opened.push(this.#open(ports[i % ports.length] ?? 0));
    for (let i = 0; i < counts.slowHeaders; i++) opened.push(this.#slowHeaders(ports[1 + (i % 3)] ?? 0));
    for (let i = 0; i < counts.idleSessions; i++) this.#session(i % 2 === 0 ? grpcPort : httpPort);
    for (let i = 0; i < counts.unreadSessions; i++) this.#unread(i % 2 === 0 ? grpcPort : httpPort);
    await Promise.all(opened);
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) clearTimeout(timer);
    for (const session of this.#sessions) session.destroy();
    for (const socket of this.#sockets) socket.destroy();
  }

  #open(port: number, speak: (socket: Socket) => void = ignore): Promise<void> {
    return new Promise((resolve) => {
      const socket = connect(port, "127.0.0.1");
      this.#sockets.add(socket);
      socket.on("error", ignore);
      socket.once("close", () => {
        this.#sockets.delete(socket);
        resolve();
      });
      socket.once("connect", () => {
        speak(socket);
        resolve();
      });
    });
  }

  #slowHeaders(port: number): Promise<void> {
    return this.#open(port, (socket) => {
      socket.write("GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
      const timer = setInterval(() => socket.write("a"), 500);
      this.#timers.push(timer);
      socket.once("close", () => clearInterval(timer));
    });
  }

  #session(port: number, settings = {}): ClientHttp2Session {
    const session = connectHttp2(`http://127.0.0.1:${port}`, { settings });
    this.#sessions.add(session);
    session.on("error", ignore);
    session.once("close", () => this.#sessions.delete(session));
    return session;
  }

  /** Streams that get everything and read nothing. */
  #unread(port: number): void {
    const session = this.#session(port, { initialWindowSize: 0 });
    const message = toBinary(WatchTokensRequestSchema, create(WatchTokensRequestSchema, {}));
    const envelope = Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]);
    for (let i = 0; i < counts.unreadStreams; i++) {
      const stream = session.request(headers(this.target, "/nexus.v1.TokenService/WatchTokens"));
      stream.on("error", ignore);
      stream.end(envelope);
    }
  }

  /**
   * Asks for the longest answer that needs no credential; resolves when all sessions were opened. Without a key it reads none and keeps
   * the sessions; with one it reads all and closes them.
   */
  async #documents(port: number, count: number, apiKey?: string): Promise<void> {
    const path = { ":path": "/openapi.json" };
    const fields = apiKey === undefined ? path : { ...path, "x-api-key": apiKey };
    for (let opened = 0; opened < count; opened += counts.documentSessionsAtOnce) {
      const sessions = Array.from({ length: counts.documentSessionsAtOnce }, () =>
        this.#session(port, apiKey === undefined ? { initialWindowSize: 0 } : {}),
      );
      const asked = sessions.map(
        (session) =>
          new Promise<void>((resolve) => {
            session.once("close", resolve);
            session.once("remoteSettings", () => {
              for (let i = 0; i < counts.documentStreams; i++) {
                const stream = session.request(fields);
                stream.on("error", ignore);
                if (apiKey !== undefined) stream.resume();
              }
              if (apiKey === undefined) session.ping(() => resolve());
              else session.close();
            });
          }),
      );
      await Promise.all(asked);
    }
  }

  /** Opens streams and resets them at once (CVE-2023-44487), on a new connection when one is cut off. */
  #reset(port: number): void {
    if (this.#stopped) return;
    const session = this.#session(port);
    const more = (): void => {
      if (session.destroyed || session.closed) return;
      for (let i = 0; i < 20; i++) {
        const stream = session.request(headers(this.target, "/nexus.v1.TokenService/GetToken"));
        stream.on("error", ignore);
        stream.close(constants.NGHTTP2_CANCEL);
        this.resets++;
      }
      // As fast as this process can it would only take the processor from the one that measures.
      this.#timers.push(setTimeout(more, 5));
    };
    session.once("connect", more);
    session.once("close", () => {
      this.cuts++;
      this.#reset(port);
    });
  }
}

type FloodKind = "sockets" | "resets" | "documents" | "ordinary";

let flood: Flood | undefined;

process.on(
  "message",
  (message: { readonly start?: Target; readonly kind?: FloodKind; readonly count?: true }) => {
    if (message.start) {
      const started = new Flood(message.start);
      flood = started;
      void started.start(message.kind ?? "sockets").then(() => process.send?.("flooding"));
      return;
    }
    if (!message.count) flood?.stop();
    process.send?.({ resets: flood?.resets ?? 0, cuts: flood?.cuts ?? 0 });
    if (!message.count) flood = undefined;
  },
);
// An error of a socket that was let go is no end of the flood.
process.on("uncaughtException", ignore);
