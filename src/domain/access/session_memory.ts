import type { Principal } from "../../model/access/principal.js";
import type { DescribedRequest } from "../../model/access/request_facts.js";
import type { ConnectionFacts } from "../../model/access/scope_restriction.js";
import type { Use } from "../../model/tracing.js";

/** A label of a session, and the request that set it. */
export interface SessionLabel {
  readonly label: string;
  readonly setAtMs: number;
  /** Name of the principal that sent the request. */
  readonly caller: string;
  /** Its method, host, and path, without the query: what an agent chose. */
  readonly request: string;
  /** As in `Use.rule`. */
  readonly rule: string;
  /** As in `Use.session`; empty where none was named. */
  readonly session: string;
}

/** A request that is let go, and the labels of its rule. */
export interface LabelingRequest {
  readonly principal: Principal;
  readonly connection: ConnectionFacts;
  readonly request: DescribedRequest;
  readonly labels: readonly string[];
  readonly use: Use;
}

/** Remembers what the requests of sessions did. */
export interface SessionMemory {
  /** Why it cannot promise to; undefined where it can. */
  readonly refusal: string | undefined;
  /** The labels of the session of a caller, one of whose requests is judged: the session goes on. */
  recall(principalName: string): ReadonlySet<string>;
  /** The same with the requests that set them, in their order. */
  labelsOf(principalName: string): readonly SessionLabel[];
  /** Sets labels: they count at once. @returns resolves when they are durable; undefined where that is so already */
  add(labeling: LabelingRequest): Promise<void> | undefined;
}
