import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CallOptions } from "@connectrpc/connect";
import { exitCodes } from "../../core/exit_codes.js";
import type { WatchTokensRequestSchema, WatchTokensResponse } from "../../gen/nexus/v1/token_pb.js";
import { InvalidArgument, isRuleRefusal, NexusError } from "../../model/errors.js";
import { StrategyError } from "../../strategies/apply_strategy.js";
import { callFailure, nexusErrorOf } from "../shell/call_failure.js";
import { callTimeoutMs, type DaemonClient } from "../shell/client.js";
import { CommandFailure } from "../shell/command_failure.js";
import { printable } from "../shell/text.js";

interface CredentialRpcOptions {
  readonly timeoutMs?: number;
  readonly traceparent?: string | undefined;
  readonly signal?: () => AbortSignal;
}

/** Over gRPC, the RPCs with which a program of the command line uses a user's credentials: see `CredentialRpcs`. Each throws a NexusError. */
export function credentialRpcs({ address, tokens }: Pick<DaemonClient, "address" | "tokens">) {
  const rpc =
    <Request, Response>(method: (request: Request, options?: CallOptions) => Promise<Response>) =>
    async (request: Request, options: CredentialRpcOptions = {}): Promise<Response> => {
      const { timeoutMs = callTimeoutMs, traceparent, signal } = options;
      const headers = traceparent === undefined ? {} : { traceparent };
      try {
        return await method(request, { timeoutMs, headers, ...(signal && { signal: signal() }) });
      } catch (error) {
        throw nexusErrorOf(error, address);
      }
    };
  return {
    acquireToken: rpc(tokens.acquireToken),
    getToken: rpc(tokens.getToken),
    createProof: rpc(tokens.createProof),
    reportRejectedToken: rpc(tokens.reportRejectedToken),
    watchTokens: async function* (
      request: MessageInitShape<typeof WatchTokensRequestSchema>,
      signal: AbortSignal,
    ): AsyncGenerator<WatchTokensResponse> {
      try {
        yield* tokens.watchTokens(request, { signal });
      } catch (error) {
        throw nexusErrorOf(error, address);
      }
    },
  };
}

/**
 * How a command ends that sends a request with a credential. A refusal of the rules or of a reviewer is said in the daemon's own words.
 *
 * @param doing what failed, after "cannot"
 */
export function exchangeFailure(
  error: unknown,
  doing: string,
  { address }: Pick<DaemonClient, "address">,
): unknown {
  if (error instanceof StrategyError) {
    const words = `the credential cannot be put into the request: ${error.message}`;
    return new CommandFailure(exitCodes.failed, printable(words), error);
  }
  if (!(error instanceof NexusError)) return error;
  const isOwn = isRuleRefusal(error) || error instanceof InvalidArgument;
  if (isOwn || error.cause === undefined) return new CommandFailure(exitCodes.failed, error.message, error);
  return callFailure(error.cause, doing, address);
}
