import type { Authority } from "../../../server/tls/authority.js";
import type { Credentials } from "./credentials.js";
import type { Allowance } from "./judge.js";
import type { OpenUses } from "./open_uses.js";
import type { Route } from "./routes.js";
import type { Upstream } from "./upstream.js";

/** What was done for a session; nothing of it may throw. */
export interface EgressRecord {
  /** @param route undefined where no credential was put in */
  answered(route: Route | undefined, status: number, trace: string | undefined): void;
  /** @param kind that of the problem, in kebab case */
  refused(kind: string): void;
}

export interface SessionDeps extends Allowance {
  readonly authority: Authority;
  readonly credentials: Credentials;
  readonly upstream: Upstream;
  readonly uses: OpenUses;
  readonly record?: EgressRecord | undefined;
}
