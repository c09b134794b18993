import type { MessageInitShape } from "@bufbuild/protobuf";
import type { CallOptions } from "@connectrpc/connect";
import type { WatchTokensRequestSchema, WatchTokensResponse } from "../../gen/nexus/v1/token_pb.js";
import { nexusErrorOf } from "../shell/call_failure.js";
import { callTimeoutMs, type Daemon } from "../shell/client.js";

interface Options {
  readonly timeoutMs?: number;
  readonly traceparent?: string | undefined;
  readonly signal?: () => AbortSignal;
}

/** Over gRPC, the RPCs with which a program of the command line uses a user's credentials: see `CredentialRpcs`. Each throws a NexusError. */
export function credentialRpcs({ address, tokens }: Pick<Daemon, "address" | "tokens">) {
  const rpc =
    <Request, Response>(method: (request: Request, options?: CallOptions) => Promise<Response>) =>
    async (request: Request, options: Options = {}): Promise<Response> => {
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
