import type { ClientHttp2Session, ClientHttp2Stream } from "node:http2";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { type Client, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import type { DaemonAddress } from "./daemon_address.js";
import { InvalidArgument } from "./errors.js";
import { TokenService } from "./gen/nexus/v1/token_pb.js";

/** A path to the daemon on which nobody answers for so long is taken for none. */
const connectTimeoutMs = 4_000;

export type TokenClient = Client<typeof TokenService>;

/** Calls by gRPC over two connections: one for calls, which keep the process alive, and one for the stream, which does not. */
export class DaemonConnection {
  readonly calls: TokenClient;
  readonly streams: TokenClient;
  readonly #managers: readonly Http2SessionManager[];

  constructor(readonly address: DaemonAddress) {
    const create = () => this.#connect(false);
    const createUnheld = () => this.#connect(true);
    const calls = new HeardSessions(address.url.origin, undefined, { createConnection: create });
    const streams = new UnheldSessions(address.url.origin, undefined, { createConnection: createUnheld });
    this.#managers = [calls, streams];
    const clientOf = (sessionManager: Http2SessionManager): TokenClient =>
      createClient(TokenService, createGrpcTransport({ baseUrl: address.url.origin, sessionManager }));
    this.calls = clientOf(calls);
    this.streams = clientOf(streams);
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

/**
 * Sessions whose errors are heard for as long as they live. One that is destroyed says why when its socket has closed; the manager may have
 * begun another by then, and hears it no more: what nobody hears ends the process. Calls have the error all the same.
 */
class HeardSessions extends Http2SessionManager {
  readonly #heard = new WeakSet<ClientHttp2Session>();

  override async request(...args: Parameters<Http2SessionManager["request"]>): Promise<ClientHttp2Stream> {
    const stream = await super.request(...args);
    const { session } = stream;
    if (session && !this.#heard.has(session as ClientHttp2Session)) {
      this.#heard.add(session as ClientHttp2Session);
      session.on("error", () => undefined);
    }
    return stream;
  }
}

/** Sessions whose open streams do not keep the process alive. */
class UnheldSessions extends HeardSessions {
  override async request(...args: Parameters<Http2SessionManager["request"]>): Promise<ClientHttp2Stream> {
    const stream = await super.request(...args);
    stream.session?.unref();
    return stream;
  }
}
