/** How often, on average, and how many at once. */
export interface Rate {
  readonly perSecond: number;
  /** At least 1. */
  readonly burst: number;
}

/**
 * What bounds the callers of one daemon. The defaults are far above what a well-behaved caller does: they are there for the
 * one that does not behave, and for the memory of the machine.
 */
export interface Limits {
  readonly maxMessageBytes: number;
  readonly maxHeaderBytes: number;
  /** Of a REST request. */
  readonly maxBodyBytes: number;
  /** Of a form that a browser posts. */
  readonly maxFormBytes: number;
  /** Sockets at each listening address. */
  readonly maxConnections: number;
  /** Undefined when an idle HTTP/2 connection stays. */
  readonly idleTimeoutMs: number | undefined;
  /** Calls at a time on one HTTP/2 connection. */
  readonly maxStreamsPerConnection: number;
  /** Watch streams, in all. */
  readonly maxStreams: number;
  readonly maxStreamsPerPrincipal: number;
  /** How long a stream waits for a client that does not read. */
  readonly streamReadTimeoutMs: number;
  /** Of one principal; undefined when it is off. */
  readonly rate: Rate | undefined;
  /** Of one address at the browser listener; undefined when it is off. */
  readonly browserRate: Rate | undefined;
  /** Of one address, calls without a valid credential; undefined when it is off. */
  readonly failedAuthenticationRate: Rate | undefined;
  /** Of one principal. */
  readonly maxPendingAuthorizations: number;
  /** In any state. */
  readonly maxConnectionsPerUser: number;
  /** Reports of refused tokens of one connection that are acted on within an hour, and refreshes of a token that needs none yet. */
  readonly maxRejectionsPerHour: number;
}

/** The default of each setting, and why. */
export const defaultLimits: Limits = Object.freeze({
  /** 1 MiB: the largest request is an import of a credential, or a profile with its JSON Schema, a few KiB. */
  maxMessageBytes: 1_048_576,
  /** 16 KiB: Node's own default; a JWT with its claims or a browser's cookies fit. */
  maxHeaderBytes: 16_384,
  /** As for a message. */
  maxBodyBytes: 1_048_576,
  /** 128 KiB: twice what a credential may hold, for percent-encoding. */
  maxFormBytes: 131_072,
  /** An agent needs one; a thousand idle HTTP/2 sessions took about 30 MB. */
  maxConnections: 10_000,
  /** Agents ask at least once in the life of a token, which is an hour as a rule; a watch stream is a call. */
  idleTimeoutMs: 3_600_000,
  /** A thousand watchers on one connection are a real use. */
  maxStreamsPerConnection: 4_096,
  /** At 16 KB each: 800 MB. */
  maxStreams: 50_000,
  /** Half of all, so that no principal shuts out the others. */
  maxStreamsPerPrincipal: 25_000,
  /** A client that is paused by its debugger or its garbage collector comes back within a minute. */
  streamReadTimeoutMs: 60_000,
  /** Twice what one daemon answers: no limit for a machine of one agent, a bound for the sum of its connections. Lower it where principals share. */
  rate: Object.freeze({ perSecond: 50_000, burst: 50_000 }),
  /** A consent is four requests, so 50 people a second; a proxy that does not show its clients is one address. */
  browserRate: Object.freeze({ perSecond: 200, burst: 2_000 }),
  /** 600 a minute: an agent that repeats a wrong key every second does not shut out its neighbors behind one address. */
  failedAuthenticationRate: Object.freeze({ perSecond: 10, burst: 600 }),
  /** They live 10 minutes at most, and take about 1 KB of disk each. */
  maxPendingAuthorizations: 100_000,
  /** A person has tens; a service that keeps all under one user id has thousands. */
  maxConnectionsPerUser: 100_000,
  /** Sessions that a provider ends early take one now and then; an API that refuses every token must not wear out the refresh token. */
  maxRejectionsPerHour: 12,
});
