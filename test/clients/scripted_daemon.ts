import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type ServerHttp2Session } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { type Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import {
  type AcquireTokenRequest,
  type AcquireTokenResponseSchema,
  TokenService,
  type WatchTokensResponseSchema,
} from "../../src/gen/nexus/v1/token_pb.js";
import { within } from "../suites/stage.js";

type Event = NonNullable<MessageInitShape<typeof WatchTokensResponseSchema>["event"]>;
type Result = NonNullable<MessageInitShape<typeof AcquireTokenResponseSchema>["result"]>;

/** A call of WatchTokens. */
class Stream {
  readonly #queue: (Event | Code)[] = [];
  #wake = (): void => undefined;

  send(...events: (Event | Code)[]): void {
    this.#queue.push(...events);
    this.#wake();
  }

  /** Ends the call. */
  fail(code: Code): void {
    this.send(code);
  }

  async *messages() {
    for (;;) {
      for (const next of this.#queue.splice(0)) {
        if (typeof next === "number") throw new ConnectError("ended by the test", next);
        yield { event: next };
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

/** A TokenService on a Unix socket, whose answers and streams are the test's. */
export class ScriptedDaemon {
  /** Calls of AcquireToken. */
  readonly calls: AcquireTokenRequest[] = [];
  /** Answers AcquireToken. */
  answer: (request: AcquireTokenRequest) => Result | Promise<Result> = () => token(1);
  readonly #folder = mkdtempSync(join(tmpdir(), "nexus-scripted-daemon-"));
  readonly #streams: Stream[] = [];
  readonly #sessions = new Set<ServerHttp2Session>();
  #opened = (): void => undefined;
  readonly #server = createServer(
    connectNodeAdapter({
      routes: (router) =>
        router.service(TokenService, {
          acquireToken: async (request) => {
            this.calls.push(request);
            return { result: await this.answer(request) };
          },
          watchTokens: () => {
            const stream = new Stream();
            this.#streams.push(stream);
            this.#opened();
            return stream.messages();
          },
        }),
    }),
  );

  /** @param play the server ends when it has */
  static async play(play: (daemon: ScriptedDaemon) => Promise<void>): Promise<void> {
    const daemon = new ScriptedDaemon();
    daemon.#server.on("session", (session) => daemon.#sessions.add(session));
    try {
      await once(daemon.#server.listen(join(daemon.#folder, "nexus.sock")), "listening");
      await play(daemon);
    } finally {
      for (const session of daemon.#sessions) session.destroy();
      daemon.#server.close();
      rmSync(daemon.#folder, { recursive: true });
    }
  }

  get address(): string {
    return `unix:${join(this.#folder, "nexus.sock")}`;
  }

  /** The next stream that is opened, or was and has not been taken. */
  async stream(): Promise<Stream> {
    const taken = async (): Promise<Stream> => {
      for (;;) {
        const stream = this.#streams.shift();
        if (stream) return stream;
        await new Promise<void>((resolve) => {
          this.#opened = resolve;
        });
      }
    };
    return await within(20, "the stream is opened", taken());
  }
}

function tokenOf(revision: number, grantedScopes: readonly string[], text: string) {
  return {
    revision: BigInt(revision),
    credentials: { access_token: text },
    grantedScopes: [...grantedScopes],
    strategy: {
      kind: {
        case: "oauth2" as const,
        value: { headerName: "Authorization", valuePrefix: "Bearer ", credentialField: "access_token" },
      },
    },
  };
}

/** An answer of AcquireToken. */
export function token(
  revision: number,
  grantedScopes: readonly string[] = [],
  text = `t${revision}`,
): Result {
  return { case: "token", value: tokenOf(revision, grantedScopes, text) };
}

/** The other answer. */
export const link: Result = {
  case: "consent",
  value: { authUrl: "http://127.0.0.1/auth/start?state=s", connectionId: "c", reason: "not_connected" },
};

interface StateOptions {
  readonly user?: string;
  readonly id?: string;
  /** Orders connections of one name. */
  readonly createdSeconds?: number;
  readonly scopes?: readonly string[];
  readonly text?: string;
}

/** The state of an active connection of `github`. */
export function active(revision: number, options: StateOptions = {}): Event {
  const { user = "ada", id = "c", createdSeconds = 1, scopes = [], text = `t${revision}` } = options;
  return {
    case: "state",
    value: {
      ...{ connectionId: id, userId: user, providerName: "github", status: ConnectionStatus.ACTIVE },
      ...{ revision: BigInt(revision), token: tokenOf(revision, scopes, text) },
      createdAt: { seconds: BigInt(createdSeconds) },
    },
  };
}

/** The state of the same after its revocation. */
export function revoked(revision: number, id = "c"): Event {
  return {
    case: "state",
    value: {
      ...{ connectionId: id, userId: "ada", providerName: "github" },
      ...{ status: ConnectionStatus.REVOKED, revision: BigInt(revision) },
    },
  };
}

export const bookmark: Event = {
  case: "bookmark",
  value: { position: { epoch: "e", revision: 1n } },
};
