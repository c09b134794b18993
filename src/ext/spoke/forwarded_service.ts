import type { DescMethodUnary, Message } from "@bufbuild/protobuf";
import { Spoke } from "../../gen/nexus/rpc/v1/options_pb.js";
import type { Principal } from "../../model/access/access.js";
import { NotFound, NotLeader, Unavailable } from "../../model/model.js";
import {
  type CallContext,
  codes,
  type DefinedMethod,
  orElse,
  type RpcAnswer,
  type ServiceDefinition,
  WireError,
} from "../../service/service.js";
import type { AnsweredToken, OwnReads } from "./own_reads.js";

/** The hub of a spoke, as the services of the spoke know it. */
export interface UpstreamHub extends Pick<OwnReads, "copied" | "recorded"> {
  /** Has it carry out an RPC on behalf of the caller, as which it judges and answers. @throws WireError of the RPC; Unavailable */
  call(method: DescMethodUnary, request: Message, caller: Principal, signal: AbortSignal): Promise<Message>;
}

type ForwardedMethod = DefinedMethod & { readonly kind: "unary" };

/** What a hub answered, and the token in it. */
interface HubAnswer {
  readonly answer: Message;
  readonly token: AnsweredToken | undefined;
}

/** A service as a spoke serves it: from its copy where that is enough, else by a hub, which is asked on behalf of the caller. */
export function forwardedService(service: ServiceDefinition, hub: UpstreamHub): ServiceDefinition {
  const methods = service.methods.map((method) =>
    method.kind === "unary" ? { ...method, call: forwardedCall(method, hub) } : method,
  );
  return { ...service, methods };
}

function forwardedCall(method: ForwardedMethod, hub: UpstreamHub): ForwardedMethod["call"] {
  const ask = async (request: Message, { principal, signal }: CallContext): Promise<HubAnswer> => {
    const answer = await hub.call(method.descriptor, request, principal, signal);
    return { answer, token: await hub.copied(method, request, answer, principal) };
  };
  const { spoke } = method.rpc ?? {};
  if (spoke === Spoke.HUB) return (request, context) => ask(request, context).then(({ answer }) => answer);
  if (spoke !== Spoke.COPY) return method.call;
  const answered = (request: Message, context: CallContext, hubs?: HubAnswer): RpcAnswer =>
    orElse(
      () => method.call(request, context),
      async (error) => {
        if (!(error instanceof NotLeader || error instanceof NotFound)) throw error;
        const now = hubs ?? (await ask(request, context));
        const { answer, token } = now;
        if (token === undefined) return answer;
        // Nothing here has judged the caller: what does is asked again, now that the copy has what the hub answered.
        if (error.use === undefined && hubs === undefined) return await answered(request, context, now);
        await hub.recorded(token, context.principal, error.use);
        return answer;
      },
    );
  /** While no hub answers, a caller that wished for a longer life gets the token that there is. */
  const withoutWish = async (refusal: unknown, request: Message, context: CallContext): Promise<Message> => {
    if (!isUnavailable(refusal) || !("minTtl" in request) || request.minTtl === undefined) throw refusal;
    const relaxed: typeof request = { ...request, minTtl: undefined };
    return await orElse(
      () => method.call(relaxed, context),
      () => Promise.reject(refusal),
    );
  };
  return (request, context) =>
    orElse(
      () => answered(request, context),
      (refusal) => withoutWish(refusal, request, context),
    );
}

function isUnavailable(error: unknown): boolean {
  return error instanceof Unavailable || (error instanceof WireError && error.code === codes.unavailable);
}
