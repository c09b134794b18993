import { validateHeaderName, validateHeaderValue } from "node:http";
import type { Socket } from "node:net";
import type { CertificateAuthority } from "../model/clients/certificate_authority.js";
import type { ClientCertificate } from "../model/clients/client_certificate.js";
import { BoundedMap } from "../runtime/bounded_map.js";
import { type Clock, SystemClock, setDeadline, type Timer } from "../runtime/clock.js";
import {
  type AddressRefusal,
  isPermittedScheme,
  type ProviderNetworks,
  publicNetworks,
} from "./address_judge.js";
import {
  brokenOff,
  exchange,
  type OutboundResponse,
  type RawRequest,
  TooLarge,
} from "./outbound_exchange.js";
import { AddressRefused, type Lookup, lookupAll, OutboundTarget, openSocket } from "./outbound_socket.js";
import { noWebProxies, type WebProxySettings, webProxyFor } from "./web_proxy.js";

/** A request to a provider. Its shape is what `oauth4webapi` hands to a custom fetch. */
export interface OutboundRequest {
  readonly method: "GET" | "POST" | "DELETE";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: URLSearchParams | string | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Presented in TLS (RFC 8705 section 2); its key as PEM. */
  readonly clientCertificate?: ClientCertificate;
  /** Trusted for this request, beside the authorities of the system. */
  readonly authority?: CertificateAuthority | undefined;
  /** Limits the body further than `OutboundOptions.maxBytes` does. */
  readonly maxBytes?: number;
  /** It may use up what it sends, so that its answer cannot be requested again: once sent, it is waited for for longer. */
  readonly isTokenRequest?: boolean;
  /** A redirect is the answer, and is not followed either. */
  readonly takesRedirect?: boolean;
  /**
   * Called when the connection is open, TLS included, and this process may send: the first byte is written when it has answered true. Where
   * it answers false or rejects, nothing is sent.
   */
  readonly beforeSend?: (() => Promise<boolean>) | undefined;
}

/** Answers with the whole body at hand, or throws `OutboundError`. A status is not judged, except that 3xx is refused by default. */
export type OutboundFetch = (url: string, request: OutboundRequest) => Promise<OutboundResponse>;

export interface OutboundOptions {
  /**
   * From the call to the last byte of the body, name and TLS included. Where something is done before the request is sent (`beforeSend`),
   * connecting may take so long, and all that follows once more. Default 10 000: no provider takes longer on a good day. An answer that
   * came while the process was paused is read anyway: see `setDeadline`.
   */
  readonly timeoutMs?: number;
  /**
   * From the first byte of a token request that is written to the last byte of its answer. Default 120 000: whoever gives up sooner loses
   * the grant at a server that rotates tokens and is slow.
   */
  readonly tokenTimeoutMs?: number;
  /** Size of a body, as sent and decoded. Default 1 MiB: the largest known discovery documents are 20 KiB. */
  readonly maxBytes?: number;
  /** Where providers may stand. By default the public internet, https only. */
  readonly networks?: ProviderNetworks;
  /** Resolves names; the system's resolver by default. */
  readonly lookup?: Lookup;
  /** The way to providers from here; none by default. */
  readonly proxies?: WebProxySettings | undefined;
  /** Asked right before the first byte is written: false where this process may not send any more. Always true by default. */
  readonly maySend?: (() => boolean) | undefined;
}

/**
 * `before_send` is certain: the provider cannot have acted on the request. `after_send` is everything else, so it
 * includes what is unknown.
 */
export type OutboundPhase = "before_send" | "after_send";

/**
 * `forbidden_url`, `forbidden_address`, `client_certificate`, and `authority_file` need a change of the profile or of the settings. `not_leading` means that
 * another hub of the fleet may lead by now and send the same. The rest may pass.
 */
export type OutboundReason =
  | "forbidden_url"
  | "forbidden_address"
  /** The server ended the handshake over it: it read nothing of the request (RFC 8446 section 6.2). */
  | "client_certificate"
  /** The file of `api_ca_file` cannot be used. */
  | "authority_file"
  /** It cannot be read now. */
  | "authority_unread"
  | "timeout"
  | "aborted"
  | "not_leading"
  | "network"
  | "redirect"
  | "too_large";

/** No usable answer. Holds neither path, query, address nor bodies, and no cause: those carry codes and tokens. */
export class OutboundError extends Error {
  constructor(
    readonly reason: OutboundReason,
    readonly phase: OutboundPhase,
    readonly host: string,
    /** The system's word for a `network` error, such as `ECONNREFUSED`. */
    readonly code?: string,
    /** Status of an answer that came but is of no use: a redirect, or one whose body broke off. */
    readonly httpStatus?: number,
    /** Of `forbidden_address`. */
    readonly refusal?: AddressRefusal,
    /** Of a file of authorities, what is wrong with it. */
    readonly detail?: string,
  ) {
    super(messageOf(reason, phase, host, code, refusal, detail));
    this.name = "OutboundError";
  }

  /** Whether only a change of the profile, of the settings or at the provider can help. */
  get isFault(): boolean {
    return this.isForbidden || this.reason === "client_certificate" || this.reason === "authority_file";
  }

  /** Whether the provider must not be called where it stands. */
  get isForbidden(): boolean {
    return this.reason === "forbidden_url" || this.reason === "forbidden_address";
  }
}

function messageOf(
  reason: OutboundReason,
  phase: OutboundPhase,
  host: string,
  code: string | undefined,
  refusal: AddressRefusal | undefined,
  detail: string | undefined,
): string {
  if (detail !== undefined) return `nothing was sent to ${host}: ${detail}`;
  if (refusal) return `request to ${host} refused: ${host} ${refusal.why}`;
  const what = code === undefined ? reason : `${reason} ${code}`;
  if (reason === "client_certificate")
    return `${host} does not accept the client certificate of the profile, or wants one: check tls_client_certificate and what the provider knows of it (${what})`;
  return `request to ${host} failed: ${what} (${phase})`;
}

/**
 * The only way out to a provider: https, or plain http to this machine if a setting allows it. Addresses are judged as they are written,
 * resolved and connected to; through a proxy, which resolves names itself, only as they are written. There are no redirects, cookies, or
 * credentials in URLs.
 */
export function createOutboundFetch(options: OutboundOptions = {}): OutboundFetch {
  const {
    timeoutMs = 10_000,
    tokenTimeoutMs = 120_000,
    maxBytes = 1024 * 1024,
    networks = publicNetworks,
    lookup = lookupAll,
    proxies = noWebProxies,
    maySend = () => true,
  } = options;
  const clock = new SystemClock();
  const targets: Targets = new BoundedMap(maxTargets);
  return async (text, request) => {
    const { url, target } = permitted(text, networks, targets);
    const limitBytes = Math.min(maxBytes, request.maxBytes ?? maxBytes);
    const deadline = new RequestDeadline(clock, request.signal);
    let phase: OutboundPhase = "before_send";
    let status: number | undefined;
    let socket: Socket | undefined;
    const checkMaySend = (): void => {
      if (!maySend()) throw new OutboundError("not_leading", phase, target.host);
    };
    try {
      deadline.begin(timeoutMs);
      const raw = rawRequest(request);
      const proxy = webProxyFor(target.isSecure ? "https" : "http", target, proxies);
      const way = proxy ?? (await deadline.until(target.resolve(lookup)));
      const opened = await openSocket(target, way, deadline.signal, request);
      socket = opened;
      const brokenBy = watched(opened, deadline.signal);
      if (request.beforeSend) {
        checkMaySend();
        deadline.begin(timeoutMs);
        if (!(await deadline.until(request.beforeSend().catch(() => false))))
          throw new OutboundError("aborted", phase, target.host);
      }
      const mayWrite = (): void => {
        deadline.check();
        checkMaySend();
        if (!opened.writable) throw brokenBy() ?? brokenOff("the connection");
        // Point of no return: the request is written next.
        phase = "after_send";
        if (request.isTokenRequest) deadline.begin(tokenTimeoutMs);
      };
      const answered = exchange(opened, url, raw, limitBytes, mayWrite, (known) => {
        status = known;
      });
      const response = await deadline.until(answered);
      if (response.status < 300 || response.status >= 400 || request.takesRedirect) return response;
      throw new OutboundError("redirect", phase, target.host, undefined, status);
    } catch (violation) {
      if (violation instanceof OutboundError) throw violation;
      if (deadline.reason) throw new OutboundError(deadline.reason, phase, target.host, undefined, status);
      throw outboundError(violation, phase, target.host, status);
    } finally {
      socket?.destroy();
      deadline.close();
    }
  };
}

/**
 * Destroys the socket when the signal aborts.
 *
 * @returns the first error that the socket has emitted. An alert of TLS 1.3 may come before the request is written, and leaves no `errored`
 */
function watched(socket: Socket, signal: AbortSignal): () => unknown {
  let first: unknown;
  socket.on("error", (violation) => {
    first ??= violation;
  });
  signal.addEventListener("abort", () => socket.destroy(), { once: true });
  return () => first;
}

function outboundError(
  violation: unknown,
  phase: OutboundPhase,
  host: string,
  status: number | undefined,
): OutboundError {
  if (violation instanceof AddressRefused) {
    return new OutboundError("forbidden_address", phase, host, undefined, undefined, violation.refusal);
  }
  const code = systemCode(violation);
  if (code !== undefined && certificateRefusals.test(code)) {
    return new OutboundError("client_certificate", "before_send", host, code);
  }
  if (violation instanceof TooLarge || code === "HPE_HEADER_OVERFLOW") {
    return new OutboundError("too_large", phase, host, undefined, status);
  }
  return new OutboundError("network", phase, host, code, status);
}

/**
 * Alerts about the certificate of the client. With TLS 1.3 they come after the handshake has ended here and the request was written. A
 * server handles no byte of it before it has accepted the certificate.
 */
export const certificateRefusals =
  /^ERR_SSL_\w+_ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_\w+|UNKNOWN_CA|ACCESS_DENIED|NO_CERTIFICATE)$/;

/** Origins that were judged, with what came of those that may be called: the settings do not change while the process runs. */
type Targets = BoundedMap<string, OutboundTarget>;
const maxTargets = 1_000;

function permitted(
  text: string,
  networks: ProviderNetworks,
  targets: Targets,
): { url: URL; target: OutboundTarget } {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !isPermittedScheme(url) || url.username !== "" || url.password !== "") {
    throw new OutboundError("forbidden_url", "before_send", url?.hostname ?? "(not a URL)");
  }
  const { origin } = url;
  const known = targets.get(origin);
  if (known) return { url, target: known };
  try {
    const target = new OutboundTarget(url, networks);
    targets.set(origin, target);
    return { url, target };
  } catch (violation) {
    throw outboundError(violation, "before_send", url.hostname, undefined);
  }
}

/**
 * `connection: close`, because a pooled connection that the provider drops at the same instant leaves the outcome of a
 * refresh grant unknown: with HTTP/1.1 nothing tells a request that was read from one that was not (RFC 9112 section 9.3.1). What a new
 * connection costs is saved by its TLS session (`TlsSession`). `identity`, because an error of compression would lose a rotated token set.
 *
 * @throws TypeError where a header cannot be sent, with its name alone
 */
function rawRequest(request: OutboundRequest): RawRequest {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    headers[name.toLowerCase()] = value;
  }
  delete headers["cookie"];
  delete headers["transfer-encoding"];
  Object.assign(headers, { "accept-encoding": "identity", connection: "close", "user-agent": "nexusd" });
  const body = request.body === undefined ? undefined : new TextEncoder().encode(request.body.toString());
  return { method: request.method, headers, body };
}

function systemCode(violation: unknown): string | undefined {
  for (let each = violation, depth = 0; each instanceof Error && depth < 4; each = each.cause, depth++) {
    if ("code" in each && typeof each.code === "string" && /^[A-Z][A-Z0-9_]{1,63}$/.test(each.code))
      return each.code;
  }
  return undefined;
}

/** Why a request is stopped, or its socket closed. Made once: without a reason each abort takes a stack trace. */
const over = new Error("the request is over");

/** Ends a request whose present part takes too long, or whose caller gives it up. */
class RequestDeadline {
  readonly #stop = new AbortController();
  readonly #onAbort = (): void => this.#end("aborted");
  #reason: "timeout" | "aborted" | undefined;
  #startedMs = 0;
  #limitMs = 0;
  #timer: Timer | undefined;

  /** @param caller gives the request up */
  constructor(
    private readonly clock: Clock,
    private readonly caller: AbortSignal | undefined,
  ) {
    if (caller?.aborted) this.#onAbort();
    caller?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Aborted when the request ends so, and when it is closed. */
  get signal(): AbortSignal {
    return this.#stop.signal;
  }

  /** How it was ended; undefined: it was not. */
  get reason(): "timeout" | "aborted" | undefined {
    return this.#reason;
  }

  /** The next part of the request begins, which may take `limitMs`. @throws when the request is over */
  begin(limitMs: number): void {
    this.#stop.signal.throwIfAborted();
    this.#timer?.cancel();
    this.#startedMs = this.clock.monotonicMs();
    this.#limitMs = limitMs;
    this.#timer = setDeadline(this.clock, limitMs, () => this.#end("timeout"));
  }

  /**
   * After a pause sockets are read before the deadline ends anything: what were sent then would be cut off, and its answer lost.
   *
   * @throws when the present part has taken too long, or the request is over
   */
  check(): void {
    if (this.clock.monotonicMs() - this.#startedMs >= this.#limitMs) this.#end("timeout");
    this.#stop.signal.throwIfAborted();
  }

  /** @throws what `work` throws, or when the request ends before */
  until<Value>(work: Promise<Value>): Promise<Value> {
    const { signal } = this.#stop;
    return new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
      work.then(resolve, reject);
    });
  }

  /** Nothing ends the request any more; what still connects is stopped. */
  close(): void {
    this.#timer?.cancel();
    this.caller?.removeEventListener("abort", this.#onAbort);
    this.#stop.abort(over);
  }

  #end(reason: "timeout" | "aborted"): void {
    this.#reason ??= reason;
    this.#stop.abort(over);
  }
}
