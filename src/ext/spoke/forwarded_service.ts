import type { DescMethodUnary, Message } from "@bufbuild/protobuf";
import { Spoke } from "../../gen/nexus/rpc/v1/options_pb.js";
import type { TokenServiceGetTokenRequest } from "../../gen/nexus/v1/token_pb.js";
import type { Principal } from "../../model/access/access.js";
import { NotFound, NotLeader, Unavailable } from "../../model/model.js";
import {
  type CallContext,
  codes,
  type DefinedMethod,
  orElse,
  type ServiceDefinition,
  WireError,
} from "../../service/service.js";

/** The hub of a spoke, as the services of the spoke know it. */
export interface UpstreamHub {
  /** Has it carry out an RPC on behalf of the caller, as which it judges and answers. @throws WireError of the RPC; Unavailable */
  call(method: DescMethodUnary, request: Message, caller: Principal, signal: AbortSignal): Promise<Message>;
  /** Resolves when the copy has what the answer rests on, or does not get it in time, and the caller's read of a token is on record. */
  answered(method: DefinedMethod, request: Message, answer: Message, caller: Principal): Promise<void>;
}

type ForwardedMethod = DefinedMethod & { readonly kind: "unary" };

/** A service as a spoke serves it: from its copy where that is enough, else by a hub, which is asked on behalf of the caller. */
export function forwardedService(service: ServiceDefinition, hub: UpstreamHub): ServiceDefinition {
  const methods = service.methods.map((method) =>
    method.kind === "unary" ? { ...method, call: forwardedCall(method, hub) } : method,
  );
  return { ...service, methods };
}

function forwardedCall(method: ForwardedMethod, hub: UpstreamHub): ForwardedMethod["call"] {
  const forward = async (request: Message, { principal, signal }: CallContext): Promise<Message> => {
    const answer = await hub.call(method.descriptor as DescMethodUnary, request, principal, signal);
    await hub.answered(method, request, answer, principal);
    return answer;
  };
  const { spoke } = method.rpc ?? {};
  if (spoke === Spoke.HUB) return forward;
  if (spoke !== Spoke.COPY) return method.call;
  /** While no hub answers, a caller that wished for a longer life gets the token that there is. */
  const withoutWish = (request: Message, context: CallContext) => async (refusal: unknown) => {
    const { minTtl } = request as Partial<TokenServiceGetTokenRequest>;
    if (!isUnavailable(refusal) || minTtl === undefined) throw refusal;
    const relaxed = { ...request, minTtl: undefined } as Message;
    return await orElse(
      () => method.call(relaxed, context),
      () => Promise.reject(refusal),
    );
  };
  return (request, context) =>
    orElse(
      () => method.call(request, context),
      (error) =>
        error instanceof NotLeader || error instanceof NotFound
          ? forward(request, context).catch(withoutWish(request, context))
          : Promise.reject(error),
    );
}

function isUnavailable(error: unknown): boolean {
  return error instanceof Unavailable || (error instanceof WireError && error.code === codes.unavailable);
}
