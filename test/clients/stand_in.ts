import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import {
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { AcquireTokenResponseSchema } from "../../src/gen/nexus/v1/token_pb.js";
import { Authority } from "../fakes/certificates.js";
import { type Attempt, answerCall, failing, judge } from "../suites/reconnecting.js";
import { within } from "../suites/stage.js";
import { same } from "./scene.js";

const unauthenticated = "16";
/** Longer than the backoff at the attempts that come before. */
const quietMs = 3_000;

/**
 * A server in the daemon's place, whose streams fail, drain, and are refused at last.
 *
 * @param play lets a client hold a stream of the server at the address
 */
export async function playReconnecting(play: (address: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "nexus-stand-in-"));
  const socket = join(folder, "nexus.sock");
  const server = createServer();
  const sessions = sessionsOf(server);
  let refusals = 0;
  const played = new Promise<Attempt[]>((resolve) => {
    const watch = failing((stream, attempts) => {
      refusals += 1;
      answerCall(stream, unauthenticated);
      resolve([...attempts]);
    });
    server.on("stream", (stream, headers) => {
      if (headers[":path"]?.endsWith("/WatchTokens")) watch(stream);
      else answerCall(stream, "0", token);
    });
  });
  try {
    await once(server.listen(socket), "listening");
    await play(`unix:${socket}`);
    judge(await within(60, "a stream is refused at last", played));
    await sleep(quietMs);
    same("attempts that were refused", refusals, 1);
  } finally {
    for (const session of sessions) session.destroy();
    server.close();
    rmSync(folder, { recursive: true });
  }
}

const token = toBinary(
  AcquireTokenResponseSchema,
  create(AcquireTokenResponseSchema, {
    result: {
      case: "token",
      value: {
        revision: 1n,
        credentials: { access_token: "of the stand-in" },
        strategy: {
          kind: {
            case: "oauth2",
            value: { headerName: "Authorization", valuePrefix: "Bearer ", credentialField: "access_token" },
          },
        },
      },
    },
  }),
);

/** A gRPC server over TLS that keeps the headers of its calls; `unary` is answered with an empty message. */
export class GrpcApi {
  readonly calls: IncomingHttpHeaders[] = [];
  readonly #authority = new Authority();
  readonly #server = createSecureServer(this.#authority.issueServer());
  readonly #sessions = sessionsOf(this.#server);

  static async start(): Promise<GrpcApi> {
    const api = new GrpcApi();
    api.#server.on("stream", (stream, headers) => {
      api.calls.push(headers);
      stream.resume().on("end", () => answerCall(stream, "0", new Uint8Array()));
    });
    await once(api.#server.listen(0, "127.0.0.1"), "listening");
    return api;
  }

  get address(): string {
    return `localhost:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The certificate of its authority, in PEM. */
  get ca(): string {
    return this.#authority.pem;
  }

  close(): void {
    for (const session of this.#sessions) session.destroy();
    this.#server.close();
  }
}

function sessionsOf(server: Pick<Http2Server, "on">): Set<ServerHttp2Session> {
  const sessions = new Set<ServerHttp2Session>();
  server.on("session", (session: ServerHttp2Session) => {
    sessions.add(session);
    session.on("close", () => sessions.delete(session));
    session.on("error", () => undefined);
  });
  return sessions;
}
