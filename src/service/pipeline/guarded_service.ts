import type { Message } from "@bufbuild/protobuf";
import type { AccessControl } from "../../domain/access/access_control.js";
import type { DeniedAccessAudit } from "../../domain/access/denied_access_audit.js";
import type { RequestGate } from "../../domain/access/request_gate.js";
import type { Permissions } from "../../model/access/permissions.js";
import { type NexusError, PermissionDenied } from "../../model/errors.js";
import {
  type BoundMethod,
  type BoundService,
  type CallContext,
  type StreamContext,
  wrappedStream,
} from "./bound_service.js";
import { toWireError } from "./error_table.js";
import { type RpcAccess, rpcAccess } from "./rpc_access.js";

export interface Guard {
  readonly access: Pick<AccessControl, "admit" | "hold" | "refuseEnded">;
  readonly gate: Pick<RequestGate, "refusal">;
  readonly deniedAccess: Pick<DeniedAccessAudit, "denied">;
}

/** An RPC without a row is nobody's but the admin's. */
const unknown: RpcAccess = { action: "keyring.manage", asked: undefined };

/**
 * The same service, each of its RPCs behind the policy. In this order: the role, before anything of the request is looked at; the
 * connection or provider that it names, for a restricted caller; then the RPC itself. A call ends when its caller does.
 */
export function guardedService(service: BoundService, guard: Guard): BoundService {
  return {
    descriptor: service.descriptor,
    methods: service.methods.map((method) => guarded(method, guard)),
  };
}

function guarded(method: BoundMethod, guard: Guard): BoundMethod {
  const rpc = rpcAccess(method.descriptor) ?? unknown;
  if (method.kind === "unary") {
    return {
      ...method,
      call: (request: Message, context: CallContext) => {
        try {
          const grant = admit(method, rpc, request, context, guard);
          if (grant instanceof Promise) return grant.catch(rethrow);
          const answer = method.call(request, context);
          // What was answered at once was answered to the caller that was admitted.
          return answer instanceof Promise ? untilEnded(answer, context, rpc, grant, guard) : answer;
        } catch (error) {
          throw toWireError(error);
        }
      },
    };
  }
  return wrappedStream(method, ({ request, context, cut }) => {
    try {
      const grant = admit(method, rpc, request, context, guard);
      if (grant instanceof Promise) return grant.catch(rethrow);
      const end = (error: NexusError): void => cut(toWireError(error));
      return guard.access.hold(context.principal, rpc.action, grant, end, true);
    } catch (error) {
      throw toWireError(error);
    }
  });
}

/**
 * @returns what the caller may; a promise that rejects with the refusal once it is on record
 * @throws NexusError, WireError when the request breaks its rules
 */
function admit(
  method: BoundMethod,
  { action, asked }: RpcAccess,
  request: Message | undefined,
  { principal }: StreamContext,
  { access, gate, deniedAccess }: Guard,
): Permissions | Promise<never> {
  let grant: Permissions;
  try {
    grant = access.admit(principal, action);
  } catch (error) {
    if (!(error instanceof PermissionDenied)) throw error;
    return deniedAccess.denied(principal, action).then(() => {
      throw error;
    });
  }
  // A stream of requests is judged by what it answers.
  if (asked === undefined || request === undefined || !grant.isRestricted) return grant;
  const what = asked(request);
  const refusal = gate.refusal(grant, action, what);
  if (!refusal) return grant;
  // A request that breaks its rules is told so whether what it names exists or not.
  method.validate(request);
  return deniedAccess
    .denied(principal, action, "connectionId" in what ? what.connectionId : undefined)
    .then(() => {
      throw refusal;
    });
}

function rethrow(error: unknown): never {
  throw toWireError(error);
}

/** Settles as the call does, or rejects as soon as the caller ends. */
function untilEnded(
  answer: Promise<Message>,
  { principal }: CallContext,
  { action }: RpcAccess,
  grant: Permissions,
  { access }: Guard,
): Promise<Message> {
  return new Promise<Message>((resolve, reject) => {
    const release = access.hold(principal, action, grant, (error: NexusError) => reject(error), false);
    answer.finally(release).then(resolve, reject);
  })
    .then((answered) => {
      access.refuseEnded(principal);
      return answered;
    })
    .catch(rethrow);
}
