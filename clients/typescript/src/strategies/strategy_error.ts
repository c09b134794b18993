// Copied from src/strategies/strategy_error.ts by `npm run generate`; edit that.
/**
 * A strategy cannot be applied. The message names the field and what is wanted of it, never a value: it may be a secret.
 *
 * - `missing_credential`: the credentials have no such field
 * - `invalid_credential`: the field holds what cannot be sent
 * - `invalid_strategy`: the strategy is of no known kind, or a field of it is missing or wrong
 * - `invalid_request`: the request cannot be signed
 */
export class StrategyError extends Error {
  override readonly name = "StrategyError";

  constructor(
    readonly code: "missing_credential" | "invalid_credential" | "invalid_strategy" | "invalid_request",
    /** By its name on the wire, for example `access_token` or `header_name`. */
    readonly field: string,
    description: string,
  ) {
    super(`${field}: ${description}`);
  }
}
