import type { Principal } from "../../model/access/principal.js";
import type { DescribedRequest } from "../../model/access/request_facts.js";
import type { Use } from "../../model/tracing.js";

/** A request that another daemon decides over. */
export interface LedRequest {
  readonly principal: Principal;
  readonly connectionId: string;
  /** Undefined where none is shown: the caller gets the token. */
  readonly request: DescribedRequest | undefined;
  /** Of the policy file here, hexadecimal; empty for none. The leader goes by the same one. */
  readonly policyDigest: string;
  /** As in `Use.traceId`. */
  readonly traceId: string | undefined;
  /** Whether a person may be asked, for as long as a rule says. */
  readonly mayWait: boolean;
  readonly signal: AbortSignal | undefined;
}

/** What the leader let go. */
export interface LedUse {
  /** For the record. */
  readonly use: Use;
  /** Nothing was obtained for it: it does not count. */
  takeBack(): void;
}

/** Decides over requests for all daemons that share a store: the one that leads alone knows at once what the requests of all of them did. */
export interface LeadingRules {
  /** Where that is; `unsure` where this daemon leads and another one might by now. */
  readonly place: "here" | "elsewhere" | "unsure";
  /**
   * @returns `here` when this daemon leads by now, and nothing was decided
   * @throws NexusError with which the leader refuses it; Unavailable when none decides: nothing was let go
   */
  admit(asked: LedRequest): Promise<LedUse | "here">;
}
