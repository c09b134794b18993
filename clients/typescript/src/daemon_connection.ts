import type { ClientHttp2Stream } from "node:http2";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { type Client, createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import type { DaemonAddress } from "./daemon_address.js";
import { InvalidArgument } from "./errors.js";
import { AccessService } from "./gen/nexus/v1/access_pb.js";
import { TokenService } from "./gen/nexus/v1/token_pb.js";
import { steady } from "./strategies/steady_sessions.js";

/** A path to the daemon on which nobody answers for so long is taken for none. */
const connectTimeoutMs = 4_000;

/** As in the other libraries: a link that went dead is given up before the silence of the stream on it is over. */
const defaultPings = { pingIntervalMs: 15_000, pingTimeoutMs: 10_000 };

export type TokenClient = Client<typeof TokenService>;

/** Calls by gRPC over two connections: one for calls, which keep the process alive, and one for the stream, which does not. */
export class DaemonConnection {
  readonly calls: TokenClient;
  readonly streams: TokenClient;
  readonly access: Client<typeof AccessService>;
  readonly #managers: readonly Http2SessionManager[];

  constructor(
    readonly address: DaemonAddress,
    pings = defaultPings,
  ) {
    const create = () => this.#connect(false);
    const createUnheld = () => this.#connect(true);
    const { origin } = address.url;
    const calls = steady(new Http2SessionManager(origin, pings, { createConnection: create }), pings);
    const streams = steady(new UnheldSessions(origin, pings, { createConnection: createUnheld }), {
      ...pings,
      isHeld: false,
    });
    this.#managers = [calls, streams];
    const over = (sessionManager: Http2SessionManager): Transport =>
      createGrpcTransport({ baseUrl: origin, sessionManager });
    this.calls = createClient(TokenService, over(calls));
    this.streams = createClient(TokenService, over(streams));
    this.access = createClient(AccessService, over(calls));
  }

  /**
   * The headers of each call.
   *
   * @throws InvalidArgument for a key that no header carries
   */
  headers(): Record<string, string> {
    const key = this.address.apiKey();
    if (key !== undefined && !/^[ -~]+$/.test(key)) {
      throw new InvalidArgument("the API key is empty, or holds characters that a header cannot carry");
    }
    return key === undefined ? {} : { authorization: `Bearer ${key}` };
  }

  close(): void {
    for (const manager of this.#managers) manager.abort();
  }

  #connect(isUnheld: boolean): Socket {
    const { url, socketPath, ca, certificate } = this.address;
    const host = url.hostname.replace(/^\[|\]$/g, "");
    const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
    const isTls = socketPath === undefined && url.protocol === "https:";
    const socket =
      socketPath !== undefined
        ? connectTcp(socketPath)
        : isTls
          ? connectTls({
              host,
              port,
              ...(isIP(host) ? {} : { servername: host }),
              ALPNProtocols: ["h2"],
              ...(ca ? { ca } : {}),
              ...certificate,
            })
          : connectTcp(port, host);
    const timer = setTimeout(() => {
      socket.destroy(
        Object.assign(new Error(`no answer within ${connectTimeoutMs} ms`), { code: "ETIMEDOUT" }),
      );
    }, connectTimeoutMs);
    timer.unref();
    socket.once(isTls ? "secureConnect" : "connect", () => clearTimeout(timer));
    socket.once("close", () => clearTimeout(timer));
    if (isUnheld) socket.unref();
    return socket;
  }
}

/** Sessions whose open streams do not keep the process alive. */
class UnheldSessions extends Http2SessionManager {
  override async request(...args: Parameters<Http2SessionManager["request"]>): Promise<ClientHttp2Stream> {
    const stream = await super.request(...args);
    stream.session?.unref();
    return stream;
  }
}
