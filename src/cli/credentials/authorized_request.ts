import type { Message } from "@bufbuild/protobuf";
import { exitCodes } from "../../core/exit_codes.js";
import type { ConnectionName } from "../../gen/nexus/v1/connection_pb.js";
import type { Provider } from "../../gen/nexus/v1/provider_pb.js";
import type { Strategy as StrategyMessage } from "../../gen/nexus/v1/strategy_pb.js";
import type { Token } from "../../gen/nexus/v1/token_pb.js";
import {
  type AuthorizedRequest,
  type applyStrategy,
  type BodyHash,
  type Strategy,
  StrategyError,
} from "../../strategies/apply_strategy.js";
import { applyKnown } from "../../strategies/known_strategy.js";
import { strategyOfShape } from "../../strategies/strategy_shapes.js";
import { CommandFailure } from "../shell/command_failure.js";
import type { DaemonSession } from "../shell/daemon_command.js";
import type { ApiAnswer } from "../shell/http_request.js";
import { printable } from "../shell/text.js";

/** A request without the credential. */
export type ApiRequest = Parameters<typeof applyStrategy<Uint8Array>>[0];

/** Whose key is proved, where the token is bound to one. */
export type ProvedConnection =
  | { readonly connectionId: string }
  | { readonly name: Omit<ConnectionName, keyof Message> };

/**
 * Puts the credential into the request as its strategy says, and the proof of its key where it is bound to one (DPoP).
 *
 * @param nonce that the API asked for
 * @param bodyHash how an AWS signature covers the body
 */
export async function authorize(
  request: ApiRequest,
  token: Token,
  session: DaemonSession,
  connection: ProvedConnection,
  nonce = "",
  bodyHash: BodyHash = "header",
): Promise<AuthorizedRequest<Uint8Array>> {
  const { strategy, credentials } = token;
  try {
    if (strategy === undefined) throw new StrategyError("invalid_strategy", "strategy", "is not set");
    const proof = isBound(token) ? await proofFor(request, token, session, connection, nonce) : undefined;
    return await applyKnown(request, knownStrategy(strategy), credentials, {
      bodyHash,
      ...(proof !== undefined && { proof }),
    });
  } catch (error) {
    if (!(error instanceof StrategyError)) throw error;
    throw new CommandFailure(
      exitCodes.failed,
      printable(`the credential cannot be put into the request: ${error.message}`),
      error,
    );
  }
}

/** Of messages, which nobody changes: an egress listener puts one token into many requests. */
const known = new WeakMap<StrategyMessage, Strategy>();

/** @throws StrategyError */
function knownStrategy(message: StrategyMessage): Strategy {
  const before = known.get(message);
  if (before) return before;
  const strategy = strategyOfShape(message);
  known.set(message, strategy);
  return strategy;
}

/** Whether each request needs a proof of the key (RFC 9449). */
export function isBound({ tokenType }: Token): boolean {
  return tokenType === "DPoP";
}

/** The nonce that an API wants, and did not get; undefined where it refuses something else, or got it already. */
export function wantedNonce({ status, headers }: ApiAnswer, token: Token, given = ""): string | undefined {
  const nonce = headers["dpop-nonce"];
  const isWanted = isBound(token) && status === 401 && typeof nonce === "string" && nonce !== given;
  return isWanted && /\buse_dpop_nonce\b/.test(headers["www-authenticate"] ?? "") ? nonce : undefined;
}

async function proofFor(
  { method, url }: ApiRequest,
  { revision }: Token,
  { daemon, call }: DaemonSession,
  connection: ProvedConnection,
  nonce: string,
): Promise<string> {
  // A query may hold what is no business of the daemon, and is no part of the proof.
  const [bare = ""] = url.split(/[?#]/, 1);
  const made = await call("prove the key of the token", daemon.tokens.createProof, {
    ...connection,
    method,
    url: bare,
    nonce,
  });
  if (made.revision === revision) return made.proof;
  throw new CommandFailure(exitCodes.failed, "the token was refreshed while the request was made: try again");
}

/** Where requests to the provider's API go. @throws CommandFailure for a profile that does not say */
export function apiBaseUrlOf({ name, apiBaseUrl }: Provider): string {
  if (apiBaseUrl !== "") return apiBaseUrl;
  throw new CommandFailure(
    exitCodes.failed,
    `the provider ${name} has no API base URL: nexusd provider update ${name} --api-base-url https://api.example.com`,
  );
}
