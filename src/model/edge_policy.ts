/**
 * The bounds of the edge that no setting moves: what a client may hold or do at a listener, each with its reason. `limits.ts` has those
 * that a setting moves. What follows from both for callers without a credential, as it was measured, is in SECURITY.md ("Limits").
 *
 * A name ends with the unit; `share` is a part of the limit that is named beside it.
 */
export const edgePolicy = Object.freeze({
  /** Of every listening address. */
  sockets: Object.freeze({
    /** That the system holds until they are accepted: its default of 511 turns a burst of agents away on a Unix socket. */
    backlog: 4_096,
    /** Silence after which the system probes a TCP peer, so that one that vanished is noticed without a request. */
    tcpKeepAliveMs: 30_000,
    /** Until the first byte of a connection, and until it is known whether that is HTTP/2: as long as the headers of a request may take. */
    silenceMs: 10_000,
    /** Between looks for connections that are due to end: they live up to this much longer. */
    sweepMs: 5_000,
    /** For a peer to close a connection that was answered for the last time. */
    closingGraceMs: 1_000,
  }),

  /** Of the descriptors of the process, for what the daemon itself opens: providers, the database of a fleet, files. */
  reservedDescriptors: Object.freeze({ max: 512, share: 1 / 4 }),

  /** Of connections over which no valid credential came, at a listener of callers that is not a Unix socket. */
  unauthenticatedConnections: Object.freeze({
    /** A call takes less; an idle HTTP/2 session takes some 30 KB. */
    lifeMs: 30_000,
    /** Of `NEXUS_MAX_CONNECTIONS`. */
    share: 1 / 20,
    /** At a listener with few connections, the share would be less than the agents of one machine. */
    atLeast: 64,
    /** Where no client address holds more than this of them, a crowd came and not one flood. */
    crowdShare: 1 / 10,
    /** For a connection of a crowd to show its credential before a newer one takes its place: TLS with a thousand takes a second or two. */
    crowdGraceMs: 5_000,
  }),

  /** Of callers without a valid credential over HTTP/2, whose streams cost little and whose responses may not. */
  unauthenticatedStreams: Object.freeze({
    /** To read a response. */
    readMs: 5_000,
    /** Pending errors of gRPC at one listening address. */
    maxRefusals: 512,
    /** Other pending responses at one listening address; the longest is the OpenAPI document. */
    maxResponses: 32,
    /** Of `NEXUS_MAX_STREAMS`, at all addresses: health and reflection are open to them, thousands of streams on each connection. */
    openShare: 1 / 50,
  }),

  /**
   * Streams that the clients of one address may take back before anything was answered. A client does so when a deadline passes or its own
   * caller leaves: now and then. Node lets each connection do so a thousand times, and then 33 times per second. A client that is cut off
   * can come again on a new connection, so this counts across connections (CVE-2023-44487).
   */
  resets: Object.freeze({ perSecond: 50, burst: 500 }),

  /** Of HTTP/2 sessions: a peer that vanished is noticed in 40 s. */
  sessions: Object.freeze({
    /** Silence between an answered ping and the next one. */
    pingIntervalMs: 30_000,
    pingTimeoutMs: 10_000,
    /**
     * In MB, of what one session holds: without end, since Node refuses the streams of a session that has more, and a thousand watchers
     * on one have. Streams, the time that readers may take, and callers without a credential are limited each by itself.
     */
    maxMegabytes: Number.MAX_SAFE_INTEGER,
  }),

  /** Of HTTP/1.1, at the listeners of calls. None ends a stream that answers: they are for the request alone. */
  callRequests: Object.freeze({
    headersTimeout: 10_000,
    requestTimeout: 30_000,
    /** How often Node looks for requests that broke the two timeouts; its default of 30 s would make them 60 s. */
    connectionsCheckingInterval: 5_000,
    keepAliveTimeout: 30_000,
  }),

  /** Of HTTP/1.1, at the listeners of pages and probes, whose requests are small. */
  pageRequests: Object.freeze({
    headersTimeout: 10_000,
    requestTimeout: 15_000,
    connectionsCheckingInterval: 5_000,
    keepAliveTimeout: 5_000,
  }),

  /** Of HTTP/1.1 clients that send the next request before the response, with which Node would start 1 800 requests of one read. */
  pipelining: Object.freeze({
    /** Of one connection in a turn of the event loop: a body may be full of what looks like the end of headers. */
    maxPartsPerTurn: 16,
    /** Whose held bytes are served in one turn. */
    maxConnectionsPerTurn: 8,
    /** That hold bytes, mostly 64 KiB; one more has the oldest closed. Clients that do not pipeline hold none. */
    maxHolding: 256,
    /** Requests that had come before the response ahead of them was sent, of a connection without a valid credential: no client needs so many. */
    maxRequestsOfStranger: 64,
  }),

  /** Looks at unread responses in `NEXUS_STREAM_READ_TIMEOUT_SECONDS`: one is reset up to a quarter of that later. */
  unreadLooksPerTimeout: 4,

  /** What a part of a body that has not arrived whole costs beside its bytes, so that many small parts are not free. */
  bodyPartBytes: 512,

  /** Of lines in the log about wrong credentials, for each address. */
  failedAuthenticationLines: Object.freeze({ perSecond: 1 / 60, burst: 1 }),
});
