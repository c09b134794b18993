import { fromBinary } from "@bufbuild/protobuf";
import type { ServiceError } from "@grpc/grpc-js";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.js";
import { Unavailable } from "../../../model/errors.js";
import type { Clock } from "../../../runtime/clock.js";
import { wireErrorOf } from "../../../service/forwarding/wire_status.js";
import { codes, WireError } from "../../../service/pipeline/wire_error.js";
import { type HubLink, isServiceError, statusCodes } from "./hub_link.js";
import type { HubLinks } from "./hub_links.js";
import { IdentityUnreadable } from "./identity_files.js";
import { troubleOf } from "./trouble.js";

/** For a connection to any of the hubs; one that is open takes none of it. */
const connectMs = 2_000;
/** After that was in vain: callers are not held up one after the other. */
const vainMs = 2_000;
/** For the answer: `AcquireToken` may wait a minute for a person. */
const answerMs = 75_000;
const retryAfterMs = 2_000;

/** How a request for a hub ended: `unreachable`, nothing was sent; `lost`, it may have been acted on. */
export type UpstreamOutcome = "ok" | "unreachable" | "lost";

export interface UpstreamCallsDeps {
  readonly links: Pick<HubLinks, "inTurn">;
  readonly clock: Pick<Clock, "monotonicMs">;
  readonly onForwarded: (outcome: UpstreamOutcome) => void;
}

/** What a spoke has a hub do. A request is sent once, because the hub may have acted on it. */
export class UpstreamCalls {
  /** Looks for a hub, for all who wait for one. */
  #search: Promise<HubLink | undefined> | undefined;
  #vainUntilMs = Number.NEGATIVE_INFINITY;

  constructor(private readonly deps: UpstreamCallsDeps) {}

  /**
   * @param method `nexus.v1.TokenService/RefreshToken`
   * @param caller who asked the spoke: a text for the hub's audit log
   * @returns the response message
   * @throws WireError of the RPC; Unavailable when no hub can be reached; the reason of `signal`
   */
  async call(method: string, request: Uint8Array, caller: string, signal: AbortSignal): Promise<Uint8Array> {
    const { onForwarded } = this.deps;
    let link: HubLink | undefined;
    try {
      link = await this.#reachable(signal);
    } catch (error) {
      if (!(error instanceof IdentityUnreadable)) throw error;
      onForwarded("unreachable");
      throw new Unavailable(`nothing was done: ${error.message}`, retryAfterMs, error);
    }
    if (link === undefined) {
      onForwarded("unreachable");
      throw new Unavailable("no hub of this spoke can be reached: nothing was done", retryAfterMs);
    }
    try {
      const answer = await link.call({ method, request, caller }, answerMs, signal);
      onForwarded("ok");
      return answer;
    } catch (error) {
      if (!isServiceError(error)) {
        // The caller left, and the hub may have acted on it.
        onForwarded("lost");
        throw error;
      }
      const failure = errorOf(error);
      onForwarded(failure instanceof Lost ? "lost" : "ok");
      throw failure;
    }
  }

  async #reachable(signal: AbortSignal): Promise<HubLink | undefined> {
    const links = [...this.deps.links.inTurn()];
    for (const link of links) if (await link.isReady(0)) return link;
    if (this.deps.clock.monotonicMs() < this.#vainUntilMs) return undefined;
    this.#search ??= this.#firstReady(links).finally(() => {
      this.#search = undefined;
    });
    return await unlessAborted(this.#search, signal);
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

/** @throws the reason of `signal` */
async function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  let leave = (): void => {};
  const left = new Promise<never>((_, reject) => {
    leave = () => reject(signal.reason);
    signal.addEventListener("abort", leave, { once: true });
  });
  return await Promise.race([answer, left]).finally(() => signal.removeEventListener("abort", leave));
}

class Lost extends WireError {}

/** The identity of the spoke is no fault of its callers. */
function errorOf(error: ServiceError): WireError {
  if (error.code === statusCodes.UNAUTHENTICATED)
    return new WireError(codes.unavailable, `nothing was done: ${troubleOf(error).text}`, [], error);
  if (error.code === statusCodes.PERMISSION_DENIED)
    return new WireError(codes.permission_denied, `the hub refuses it to this spoke: ${error.details}`);
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  if (bytes instanceof Buffer) return wireErrorOf(fromBinary(StatusSchema, bytes));
  if (error.code === statusCodes.UNAVAILABLE || error.code === statusCodes.DEADLINE_EXCEEDED) {
    const text = "the hub went away, or did not answer in time: look whether the request was acted on";
    return new Lost(codes.unavailable, text, [], error);
  }
  const known = Object.values(codes).find((code) => code === error.code) ?? codes.internal;
  return new WireError(known, error.details);
}
