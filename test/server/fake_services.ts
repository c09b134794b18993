import { EventEmitter, once } from "node:events";
import { create, type Message } from "@bufbuild/protobuf";
import type { Authenticate } from "../../src/domain/access/presented_credentials.js";
import { ErrorInfoSchema } from "../../src/gen/google/rpc/error_details_pb.js";
import { ProviderService } from "../../src/gen/nexus/v1/provider_pb.js";
import {
  type RefreshTokenRequest,
  RefreshTokenResponseSchema,
  TokenService,
  type TokenServiceGetTokenRequest,
  TokenServiceGetTokenResponseSchema,
  type WatchTokensRequest,
  WatchTokensResponseSchema,
} from "../../src/gen/nexus/v1/token_pb.js";
import { admin, at, owner } from "../../src/model/access/principal.js";
import { pump } from "../../src/runtime/stream_sink.js";
import type { BoundService, CallContext } from "../../src/service/pipeline/bound_service.js";
import { codes, WireError } from "../../src/service/pipeline/wire_error.js";

export const apiKey = "nexus-test-key";

export const authenticate: Authenticate = ({ socket, token, origin }) => {
  if (socket === "unix") return at(owner, origin);
  return token === apiKey ? at(admin, origin) : undefined;
};

/** A message that never fits into the buffers of a connection twice over. */
const floodBytes = 65_536;

/** The real descriptors with an implementation that does what its request says. */
export class FakeServices {
  readonly unexpected: { error: unknown; where: string }[] = [];
  /** Messages that the flood has begun to yield. */
  flooded = 0;
  readonly #events = new EventEmitter();

  readonly onUnexpected = (error: unknown, where: string): void =>
    void this.unexpected.push({ error, where });

  readonly services: readonly BoundService[] = [
    {
      descriptor: TokenService,
      methods: [
        {
          kind: "unary",
          descriptor: TokenService.method.getToken,
          call: (request, context) => this.#getToken(request as TokenServiceGetTokenRequest, context),
        },
        {
          kind: "unary",
          descriptor: TokenService.method.refreshToken,
          call: async (request) => this.#refreshToken(request as RefreshTokenRequest),
        },
        {
          kind: "server_streaming",
          descriptor: TokenService.method.watchTokens,
          open: (request, { principal }, sink) =>
            pump((signal) => this.#watchTokens(request as WatchTokensRequest, { principal, signal }), sink),
        },
      ],
    },
    { descriptor: ProviderService, methods: [] },
  ];

  /** Resolves at the next `started` (a hanging call waits), `aborted` (its signal) or `returned` (a stream's `finally`). */
  next(event: "started" | "aborted" | "returned"): Promise<unknown> {
    return once(this.#events, event);
  }

  /** Lets a call that hangs go on. */
  release(): void {
    this.#events.emit("release");
  }

  /** `hang` waits for `release`, deaf to its signal; anything else is answered with the principal's name. */
  async #getToken({ connectionId }: TokenServiceGetTokenRequest, context: CallContext): Promise<Message> {
    if (connectionId === "hang") {
      context.signal.addEventListener("abort", () => this.#events.emit("aborted"));
      await this.#hang();
    }
    const grantedScopes = [connectionId, context.principal.name];
    return create(TokenServiceGetTokenResponseSchema, { token: { grantedScopes } });
  }

  #refreshToken({ connectionId }: RefreshTokenRequest): Message {
    if (connectionId === "crash") throw new Error("the secret is 4711");
    if (connectionId === "fail") {
      const value = create(ErrorInfoSchema, { reason: "ATTENTION_REQUIRED", domain: "nexus" });
      const detail = { descriptor: ErrorInfoSchema, value };
      throw new WireError(codes.failed_precondition, "consent ☃ again, 100%", [detail]);
    }
    if (connectionId === "half") throw new WireError(codes.not_found, "half a pair \ud800");
    return create(RefreshTokenResponseSchema, {});
  }

  async *#watchTokens({ userId }: WatchTokensRequest, context: CallContext): AsyncGenerator<Message> {
    context.signal.addEventListener("abort", () => this.#events.emit("aborted"));
    try {
      if (userId === "flood") {
        while (this.flooded++ < 10_000) yield message("x".repeat(floodBytes));
        return;
      }
      yield message("first");
      if (userId === "hang") await this.#hang();
      if (userId === "fail") throw new WireError(codes.unavailable, "later");
      if (userId === "crash") throw new Error("the secret is 4711");
      yield message("second");
    } finally {
      this.#events.emit("returned");
    }
  }

  async #hang(): Promise<void> {
    const released = once(this.#events, "release");
    this.#events.emit("started");
    await released;
  }
}

function message(connectionId: string): Message {
  return create(WatchTokensResponseSchema, { event: { case: "removed", value: { connectionId } } });
}

/** Where no API key was made. */
export const noKeys = { verify: (): undefined => undefined };
