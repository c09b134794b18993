import type { Config } from "../config/config.js";
import type { Tracing } from "../model/tracing.js";
import type { OutboundFetch } from "../outbound/outbound_fetch.js";
import type { Clock } from "../runtime/clock.js";
import type { Log } from "../runtime/log.js";

/** What a daemon reads the time from. */
export interface DaemonClocks {
  readonly clock: Clock;
  /** Of links to a database and to other daemons; `clock` by default. */
  readonly linkClock?: Clock;
}

/** What a daemon is started with. */
export interface DaemonOptions extends DaemonClocks {
  readonly config: Config;
  readonly log: Log;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Called once when the store takes no more writes: the process must end. */
  readonly onFatal: (error: unknown) => void;
  /** Of a hub: called when it is to give its lead back and end. */
  readonly onStepDown?: () => void;
  /** None by default. */
  readonly tracing?: Tracing;
  /** The same way out to providers, with each request as a span. */
  readonly tracedOutbound?: (outbound: OutboundFetch) => OutboundFetch;
  /** The variables that files of the operator may name; those of the process by default. */
  readonly environment?: NodeJS.ProcessEnv;
}
