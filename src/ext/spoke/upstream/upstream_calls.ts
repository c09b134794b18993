import { create, type DescMethodUnary, type Message } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.js";
import type { OnBehalfOf } from "../../../model/access/access.js";
import { Unavailable } from "../../../model/model.js";
import { type Clock, isRefused } from "../../../runtime/runtime.js";
import { callerField, codes, onBehalfField, WireError, wireErrorOf } from "../../../service/service.js";
import type { HubLink, HubLinks } from "./hub_link.js";
import { IdentityUnreadable } from "./identity_files.js";
import { isAnswer, troubleOf } from "./trouble.js";

/** For a connection to any of the hubs; one that is open takes none of it. */
const connectMs = 2_000;
/** After that was in vain: callers are not held up one after the other. */
const vainMs = 2_000;
/** For the answer: `AcquireToken` may wait a minute for a person. */
const answerMs = 75_000;
const retryAfterMs = 2_000;
/** Hubs that end one after the other. */
const maxRefusals = 2;

/** How a request for a hub ended: `unreachable`, nothing was sent; `lost`, it may have been acted on. */
export type UpstreamOutcome = "ok" | "unreachable" | "lost";

export interface UpstreamCallsDeps {
  readonly links: Pick<HubLinks, "inTurn" | "headers">;
  readonly clock: Clock;
  readonly onForwarded: (outcome: UpstreamOutcome) => void;
}

/** What a spoke has a hub do. A request is sent once, because the hub may have acted on it, unless the hub refused it as it ended. */
export class UpstreamCalls {
  /** Looks for a hub, for all who wait for one. */
  #search: Promise<HubLink | undefined> | undefined;
  #vainUntilMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly deps: UpstreamCallsDeps) {}

  /**
   * @param caller who asked the spoke: the hub judges the request, and filters its answer, for it
   * @throws WireError of the RPC; Unavailable when no hub can be reached; the reason of `signal`
   */
  async call(
    method: DescMethodUnary,
    request: Message,
    caller: OnBehalfOf,
    signal: AbortSignal,
  ): Promise<Message> {
    const { onForwarded } = this.deps;
    for (let refusals = 0; ; refusals++) {
      const { transport, headers } = await this.#reachable(signal);
      try {
        const all = { ...headers, [callerField]: onBehalfField(caller) };
        const { message } = await transport.unary(method, signal, answerMs, all, request as never);
        onForwarded("ok");
        return message;
      } catch (error) {
        if (isRefused(error) && refusals < maxRefusals) continue;
        // The caller may have left, and the hub have acted on it.
        const isLost = !(error instanceof ConnectError && isAnswer(error));
        onForwarded(isLost ? "lost" : "ok");
        signal.throwIfAborted();
        throw isLost ? lost(error) : errorOf(error);
      }
    }
  }

  async #reachable(signal: AbortSignal) {
    const { links, onForwarded } = this.deps;
    let text = "no hub of this spoke can be reached: nothing was done";
    try {
      const headers = links.headers();
      const link = await this.#link(signal);
      if (link !== undefined) return { transport: link.transport, headers };
    } catch (error) {
      if (!(error instanceof IdentityUnreadable)) throw error;
      text = `nothing was done: ${error.message}`;
    }
    onForwarded("unreachable");
    throw new Unavailable(text, retryAfterMs);
  }

  async #link(signal: AbortSignal): Promise<HubLink | undefined> {
    signal.throwIfAborted();
    const links = [...this.deps.links.inTurn()];
    for (const link of links) if (await link.isReady(0)) return link;
    if (this.deps.clock.monotonicMs() < this.#vainUntilMs) return undefined;
    this.#search ??= this.#firstReady(links).finally(() => {
      this.#search = undefined;
    });
    const { promise: left, reject } = withReject();
    const leave = (): void => reject(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
    return await Promise.race([this.#search, left]).finally(() => signal.removeEventListener("abort", leave));
  }

  async #firstReady(links: readonly HubLink[]): Promise<HubLink | undefined> {
    const ready = links.map(async (link) => {
      if (await link.isReady(connectMs)) return link;
      throw new Error(`no connection to ${link.url}`);
    });
    try {
      return await Promise.any(ready);
    } catch {
      this.#vainUntilMs = this.deps.clock.monotonicMs() + vainMs;
      return undefined;
    }
  }
}

function withReject(): { readonly promise: Promise<never>; readonly reject: (reason: unknown) => void } {
  let reject: (reason: unknown) => void = () => undefined;
  const promise = new Promise<never>((_, rejects) => {
    reject = rejects;
  });
  return { promise, reject };
}

function lost(error: unknown): WireError {
  const text = "the hub went away, or did not answer in time: look whether the request was acted on";
  return new WireError(codes.unavailable, text, [], error);
}

/** The identity of the spoke is no fault of its callers. */
function errorOf(error: ConnectError): WireError {
  const { code, rawMessage: message } = error;
  if (code === codes.unauthenticated)
    return new WireError(codes.unavailable, `nothing was done: ${troubleOf(error).text}`, [], error);
  if (code === codes.permission_denied)
    return new WireError(codes.permission_denied, `the hub refuses it to this spoke: ${message}`);
  const details = error.details.flatMap((detail) =>
    "type" in detail ? [{ typeUrl: `type.googleapis.com/${detail.type}`, value: detail.value }] : [],
  );
  return wireErrorOf(create(StatusSchema, { code, message, details }));
}
