import { fromBinary, type Message } from "@bufbuild/protobuf";
import { Hub } from "../../../gen/nexus/rpc/v1/options_pb.js";
import { AccessService, type CreateApiKeyRequest } from "../../../gen/nexus/v1/access_pb.js";
import type { Principal } from "../../../model/access/access.js";
import { FailedPrecondition, NotFound, NotLeader, type WaitedFor } from "../../../model/model.js";
import {
  bytesOf,
  type CallContext,
  type DefinedMethod,
  orElse,
  rpcName,
  type ServiceDefinition,
} from "../../../service/service.js";

/** Whether the caller of an RPC waits for a person, or what it has waited for. */
export type Wait = "none" | "meant" | WaitedFor;

/** The hub that leads, as the services of each hub know it. */
export interface Leader {
  /** Whether it is this one. */
  readonly isHere: boolean;
  /**
   * Has it carry out an RPC, and waits until this hub has what the answer rests on.
   *
   * @param method `nexus.v1.TokenService/RefreshToken`
   * @param wait whether the caller means to wait, for as long as it says, or has waited here
   * @returns the response message; `here` when this hub has come to lead meanwhile, and nothing was sent
   * @throws WireError of the RPC, or UNAVAILABLE
   */
  call(
    method: string,
    request: Uint8Array<ArrayBuffer>,
    principal: Principal,
    signal: AbortSignal,
    wait: Wait,
  ): Promise<Uint8Array | "here">;
  /** Whether hubs of a layout that ignores some limits of API keys may be in the fleet. */
  readonly ignoresLimits: boolean;
  /** As `work`, of this hub while it leads, but no longer than a database that hangs may hold it up. @throws Unavailable */
  limited<T>(work: Promise<T>): Promise<T>;
  /** Brings this hub to where the fleet is now, as far as the database can be asked. */
  catchUp(): Promise<void>;
  /** Brings into the log of the fleet, and here, what this hub has put on record; gives up after two seconds. */
  recorded(): Promise<void>;
}

type UnaryMethod = DefinedMethod & { readonly kind: "unary" };

/**
 * A service as each hub of a fleet serves it: what writes is done by the leader, with the caller's principal. The policy, the rules of the
 * proto and the limits are applied at the hub that is asked, before; and the policy once more at the leader.
 */
export function ledService(service: ServiceDefinition, leader: Leader): ServiceDefinition {
  const methods = service.methods.map((method) =>
    method.kind === "unary" ? { ...method, call: ledCall(method, leader) } : method,
  );
  return { ...service, methods };
}

/** What to do about those. */
export const contractFirst = "when every hub has this version, run nexusd fleet migrate --contract";

/** An older leader would create the key without its limits, and an older follower would serve tokens to it. @throws FailedPrecondition */
function refuseLimits({ descriptor }: UnaryMethod, request: Message): void {
  if (descriptor !== AccessService.method.createApiKey) return;
  const { lease, uses, restriction } = request as CreateApiKeyRequest;
  const { labels = [], methods = [], paths = [] } = restriction ?? {};
  if (
    lease === undefined &&
    uses === undefined &&
    [labels, methods, paths].every(({ length }) => length === 0)
  )
    return;
  throw new FailedPrecondition(
    "OLDER_HUBS",
    `hubs of an older version may be in the fleet, which would ignore the labels, methods, paths, lease, or uses of this key: ${contractFirst}`,
  );
}

function ledCall(method: UnaryMethod, leader: Leader): UnaryMethod["call"] {
  const { descriptor, rpc } = method;
  const name = rpcName(descriptor);
  if (rpc?.hub === Hub.ANY_RECORDED)
    return (request, context) => leader.recorded().then(() => method.call(request, context));
  // A request to an API that is shown to the rules may be held there until a person answers.
  const mayWait = (request: Message): boolean =>
    method.isWait?.(request) === true || (request as { request?: object }).request !== undefined;
  const forward = async (request: Message, context: CallContext, waitedFor?: WaitedFor): Promise<Message> => {
    const bytes = bytesOf(descriptor.input, request);
    const { principal, signal } = context;
    const wait = waitedFor ?? (mayWait(request) ? "meant" : "none");
    const answer = await leader.call(name, bytes, principal, signal, wait);
    if (answer === "here") return await method.call(request, { ...context, waitedFor });
    return fromBinary(descriptor.output, answer);
  };
  const askLeader = async (error: unknown, request: Message, context: CallContext): Promise<Message> => {
    if (error instanceof NotLeader) return await forward(request, context, error.waitedFor);
    if (!(error instanceof NotFound)) throw error;
    // It may have been made at another hub a moment ago.
    await leader.catchUp();
    return await method.call(request, context);
  };
  return (request, context) => {
    if (leader.ignoresLimits) refuseLimits(method, request);
    if (leader.isHere) {
      const answer = method.call(request, context);
      return answer instanceof Promise && !mayWait(request) ? leader.limited(answer) : answer;
    }
    if (rpc?.hub === Hub.LEADER) return forward(request, context);
    return orElse(
      () => method.call(request, context),
      (error) => askLeader(error, request, context),
    );
  };
}
