import { formatListenAddress, type ListenAddress } from "../../model/listen_address.js";
import type { DoorLimits } from "./listener_limits.js";
import type { SocketAccess } from "../callers/peer_credentials.js";
import type { DoorTls } from "../tls/tls_listener.js";

/** One way into the daemon. */
export interface Door {
  /**
   * Listens on every address of the door.
   *
   * @throws DoorError; then nothing is left listening
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

/** What every door is told about its place. */
export interface DoorPlace {
  /** The setting that names the address, for the sentence of a `DoorError`. */
  readonly setting: string;
  /** For the TCP addresses of the door; plain text without it. */
  readonly tls?: DoorTls | undefined;
  /** What bounds its visitors; without it the defaults, and any number of sockets. */
  readonly bounds?: DoorLimits | undefined;
  /** For its Unix sockets; the owner's alone without it. */
  readonly sockets?: SocketAccess | undefined;
}

/**
 * Told of an error that no table foresees. The caller got a general answer.
 *
 * @param where the method or the path, never a query
 */
export type OnUnexpected = (error: unknown, where: string) => void;

/** A door cannot be opened. */
export class DoorError extends Error {
  constructor(
    readonly door: string,
    readonly address: ListenAddress,
    readonly setting: string,
    fault: string,
    cause?: unknown,
  ) {
    super(
      `the ${door} door cannot listen on ${formatListenAddress(address)}: ${fault} (the setting is ${setting})`,
      cause === undefined ? undefined : { cause },
    );
    this.name = "DoorError";
  }
}
