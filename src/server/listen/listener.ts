import { formatListenAddress, type ListenAddress } from "../../model/listen_address.js";
import { codes, WireError } from "../../service/pipeline/wire_error.js";
import type { SocketAccess } from "../sockets/peer_credentials.js";
import type { ListenerTls } from "../tls/tls_listener.js";
import type { ListenerLimits } from "./listener_limits.js";

/** One way into the daemon. */
export interface Listener {
  /**
   * Listens on every address of the listener.
   *
   * @throws ListenerError; then nothing is left listening
   */
  open(): Promise<void>;
  /** The addresses really bound, in the order of the configured ones; empty before `open`. */
  readonly addresses: readonly ListenAddress[];
  /**
   * Takes no new connections and no new requests, lets what runs come to its end, and cuts off what is left when
   * `force` aborts. Resolves when the last connection is gone.
   */
  close(force: AbortSignal): Promise<void>;
}

/** What every listener knows about its place. */
export interface ListenerPlace {
  /** The setting that names the address, for the sentence of a `ListenerError`. */
  readonly setting: string;
  /** For the TCP addresses of the listener; plain text without it. */
  readonly tls?: Pick<ListenerTls, "createServer"> | undefined;
  /** What bounds its visitors; without it the defaults, and any number of sockets. */
  readonly bounds?: ListenerLimits | undefined;
  /** For its Unix sockets; the owner's alone without it. */
  readonly sockets?: SocketAccess | undefined;
}

/**
 * Notified of an error that no table foresees. The caller got a general answer.
 *
 * @param where the method or the path, never a query
 */
export type OnUnexpected = (error: unknown, where: string) => void;

/**
 * What a caller gets of `error`. Anything but a `WireError` is an error of the daemon: it is reported, and nothing of
 * it is sent.
 */
export function answeredError(error: unknown, where: string, report: OnUnexpected): WireError {
  if (error instanceof WireError) return error;
  report(error, where);
  return new WireError(codes.internal, "internal error");
}

/** A listener cannot be opened. */
export class ListenerError extends Error {
  constructor(
    readonly listener: string,
    readonly address: ListenAddress,
    readonly setting: string,
    violation: string,
    cause?: unknown,
  ) {
    super(
      `the ${listener} listener cannot listen on ${formatListenAddress(address)}: ${violation} (the setting is ${setting})`,
      cause === undefined ? undefined : { cause },
    );
    this.name = "ListenerError";
  }
}
