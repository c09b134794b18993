import { exitCodes } from "../../daemon/exit_codes.js";
import type { Provider } from "../../gen/nexus/v1/provider_pb.js";
import type { Token } from "../../gen/nexus/v1/token_pb.js";
import { type AuthorizedRequest, applyStrategy, StrategyError } from "../../strategies/apply_strategy.js";
import { CommandFailure } from "../shell/command_failure.js";
import { printable } from "../shell/text.js";

/** A request without the credential. */
export type ApiRequest = Parameters<typeof applyStrategy<Uint8Array>>[0];

/** Puts the credential into the request as its strategy says. @throws CommandFailure */
export async function authorize(
  request: ApiRequest,
  { strategy, credentials }: Token,
): Promise<AuthorizedRequest<Uint8Array>> {
  try {
    if (strategy === undefined) throw new StrategyError("invalid_strategy", "strategy", "is not set");
    return await applyStrategy(request, strategy, credentials);
  } catch (error) {
    if (!(error instanceof StrategyError)) throw error;
    throw new CommandFailure(
      exitCodes.failed,
      printable(`the credential cannot be put into the request: ${error.message}`),
    );
  }
}

/** Where requests to the provider's API go. @throws CommandFailure for a profile that does not say */
export function apiBaseUrlOf({ name, apiBaseUrl }: Provider): string {
  if (apiBaseUrl !== "") return apiBaseUrl;
  throw new CommandFailure(
    exitCodes.failed,
    `the provider ${name} has no API base URL: nexusd provider update ${name} --api-base-url https://api.example.com`,
  );
}
