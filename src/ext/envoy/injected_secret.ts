import type { ConnectionKey } from "../../domain/access/access.js";
import type { CurrentToken } from "../../domain/connections/connections.js";
import { parseNamePath } from "../../model/connections/connections.js";
import { needsProof, type StrategyKind } from "../../model/credentials/credentials.js";
import { isId } from "../../model/model.js";
import { applyStrategy, StrategyError } from "../../strategies/strategies.js";

/**
 * What of a credential a proxy gets as a secret:
 *
 * - `bearer`: `Bearer <token>`
 * - `token`: the token or key itself
 * - `basic`: `Basic <user name and password>`
 * - `header`: the value of the header that the connection's strategy names, whichever it is
 */
export const secretKinds = ["bearer", "token", "basic", "header"] as const;
export type SecretKind = (typeof secretKinds)[number];

export interface SecretName {
  readonly key: ConnectionKey;
  readonly kind: SecretKind;
}

/** Strategies of which a secret of the kind can be made: what depends on the request is none. */
const strategiesOf: Readonly<Record<SecretKind, readonly StrategyKind[]>> = {
  bearer: ["oauth2", "header"],
  token: ["oauth2", "header", "query_param"],
  basic: ["basic_auth"],
  header: ["oauth2", "header", "basic_auth"],
};

/** Reads an id, or a name as `parseNamePath` does; undefined when it is neither. */
export function parseConnectionPath(segments: readonly string[]): ConnectionKey | undefined {
  const [id = ""] = segments;
  if (segments.length === 1) return isId(id) ? { id } : undefined;
  const name = parseNamePath(segments);
  return name && { name };
}

/** Undefined when the name is not `<prefix>/<connection>/<kind>`, where the connection is an id or a name as `ConnectionName` says. */
export function parseSecretName(prefix: string, name: string): SecretName | undefined {
  if (!name.startsWith(`${prefix}/`)) return undefined;
  const segments = name.slice(prefix.length + 1).split("/");
  const last = segments.pop();
  const kind = secretKinds.find((candidate) => candidate === last);
  const key = parseConnectionPath(segments);
  return key && kind && { key, kind };
}

/** @throws StrategyError when the credential has no such form */
export async function secretValue(
  { strategy, credentials }: CurrentToken,
  kind: SecretKind,
): Promise<string> {
  if (!strategiesOf[kind].includes(strategy.kind)) {
    throw new StrategyError("invalid_strategy", "strategy", `${strategy.kind} has no secret of kind ${kind}`);
  }
  if (needsProof(strategy)) {
    const description =
      "the token is bound to a key (DPoP), and no secret holds the proof that each request needs: use external authorization";
    throw new StrategyError("invalid_strategy", "strategy", description);
  }
  if (strategy.kind === "basic_auth" || kind === "header") {
    return await headerValue(strategy, credentials);
  }
  if (!("credentialField" in strategy)) throw new Error(`${strategy.kind} has no field of a token`);
  const { credentialField } = strategy;
  const valuePrefix = kind === "bearer" ? "Bearer " : "";
  return await headerValue(
    { kind: "header", headerName: "Authorization", valuePrefix, credentialField },
    credentials,
  );
}

async function headerValue(
  strategy: CurrentToken["strategy"],
  credentials: CurrentToken["credentials"],
): Promise<string> {
  const request = { method: "GET", url: "http://localhost/", headers: {} };
  const { headers } = await applyStrategy(request, strategy, credentials);
  return Object.values(headers)[0] ?? "";
}
