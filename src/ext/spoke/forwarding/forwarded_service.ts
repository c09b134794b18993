import { fromBinary, type Message } from "@bufbuild/protobuf";
import type { TokenServiceGetTokenRequest } from "../../../gen/nexus/v1/token_pb.js";
import type { Principal } from "../../../model/access/principal.js";
import { NotFound, NotLeader, Unavailable } from "../../../model/errors.js";
import { orElse } from "../../../service/forwarding/or_else.js";
import { bytesOf } from "../../../service/forwarding/wire_status.js";
import type { CallContext } from "../../../service/pipeline/bound_service.js";
import { rpcName } from "../../../service/pipeline/rpc_access.js";
import type { DefinedMethod, ServiceDefinition } from "../../../service/pipeline/service_definition.js";
import { codes, WireError } from "../../../service/pipeline/wire_error.js";
import { type AnswerFacts, factsOf } from "./answer_facts.js";
import type { AnswerFilter } from "./answer_filter.js";
import type { ConsentRequesters } from "./consent_requesters.js";

/** The hub of a spoke, as the services of the spoke know it. */
export interface UpstreamHub {
  /** Of all services together. */
  readonly askers: ConsentRequesters;
  readonly filter: AnswerFilter;
  /**
   * Has it carry out an RPC.
   *
   * @param method `nexus.v1.TokenService/RefreshToken`
   * @returns the response message
   * @throws WireError of the RPC; Unavailable
   */
  call(method: string, request: Uint8Array, caller: Principal, signal: AbortSignal): Promise<Uint8Array>;
  /** Resolves when the copy has what the answer rests on, or does not get it in time. */
  copied(request: Message, facts: AnswerFacts, caller: Principal): Promise<void>;
  /** Resolves when it is on record that the caller reads the token of the answer, if there is one. @throws Unavailable when it cannot be */
  recorded(request: Message, facts: AnswerFacts, caller: Principal): Promise<void>;
}

/** Services whose records a spoke has not: all of their unary RPCs are the hub's. */
const remoteServices: ReadonlySet<string> = new Set([
  "nexus.v1.ProviderService",
  "nexus.v1.ConnectionService",
  "nexus.v1.ClientKeyService",
  "nexus.v1.NotificationService",
]);

/** Of the other services, those that need more than a living token. */
const always: ReadonlySet<string> = new Set(
  ["RefreshToken", "ReportRejectedToken", "CreateProof"].map((name) => `nexus.v1.TokenService/${name}`),
);

/** Whether a hub is asked whatever the copy holds. Of all others it is when that is not enough. */
export function isForwarded(method: DefinedMethod["descriptor"]): boolean {
  return remoteServices.has(method.parent.typeName) || always.has(rpcName(method));
}

type UnaryMethod = DefinedMethod & { readonly kind: "unary" };

/**
 * A service as a spoke serves it: from its copy where that is enough, else by a hub, to which the spoke is one caller. So what a caller of
 * the spoke may is decided here, before anything is forwarded, by the pipeline, and of each answer afterwards. An RPC without facts of its
 * answers is asked of no hub.
 */
export function forwardedService(service: ServiceDefinition, hub: UpstreamHub): ServiceDefinition {
  const methods = service.methods.map((method) => {
    const facts = factsOf(method);
    return method.kind === "unary" && facts ? { ...method, call: forwardedCall(method, facts, hub) } : method;
  });
  return { ...service, methods };
}

function forwardedCall(
  method: UnaryMethod,
  shows: (answer: Message) => AnswerFacts,
  hub: UpstreamHub,
): UnaryMethod["call"] {
  const { descriptor } = method;
  const name = rpcName(descriptor);
  const forward = async (asked: Message, context: CallContext): Promise<Message> => {
    const { principal, signal } = context;
    const request = hub.filter.resolveName(method, asked, principal);
    hub.askers.judge(request, principal);
    const bytes = await hub.call(name, bytesOf(descriptor.input, request), principal, signal);
    // What a newer hub says beside it, nobody has judged.
    const answer = fromBinary(descriptor.output, bytes, { readUnknownFields: false });
    const facts = shows(answer);
    await hub.copied(request, facts, principal);
    hub.filter.filterAnswer(request, facts, principal);
    hub.askers.answered(answer, principal);
    await hub.recorded(request, facts, principal);
    return answer;
  };
  if (isForwarded(descriptor)) return forward;
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
