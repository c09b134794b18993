import {
  describedUrl,
  exampleOf,
  explainRules,
  factsOf,
  type Permissions,
} from "../../../model/access/access.js";

/** What rules go by of a template. */
export interface JudgedTemplate {
  readonly principal: string;
  readonly provider: string;
  readonly host: string;
  readonly method: string;
  readonly path: string;
  readonly userId: string;
  readonly connectionId: string;
}

/**
 * What rules say of an example of a template, in a session without labels: `allow`, `ask`, `deny`, or `unknown` where a rule asks for what is
 * not recorded.
 */
export function templateVerdict(
  { requestRules }: Permissions,
  { principal, provider, host, method, path, userId, connectionId }: JudgedTemplate,
  nowMs: number,
): string {
  const connection = { connectionId, userId, provider: { id: provider, name: provider } };
  const request = {
    ...describedUrl(`https://${host}${exampleOf(path)}`),
    ...{ method, headers: undefined, body: undefined, session: undefined },
  };
  const facts = factsOf(principal, connection, request, nowMs, new Set());
  // The query was not recorded.
  const { requestVerdict, isClosed } = explainRules(requestRules, { ...facts, "request.query": undefined });
  return isClosed && requestVerdict !== "allow" ? "unknown" : requestVerdict;
}
