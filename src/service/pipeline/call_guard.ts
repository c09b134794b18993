import type { Message } from "@bufbuild/protobuf";
import type {
  AccessControl,
  CountedAudit,
  RequestedResource,
  RequestGate,
} from "../../domain/access/access.js";
import { by } from "../../model/access/audit_event.js";
import type { Permissions } from "../../model/access/permissions.js";
import type { Principal } from "../../model/access/principal.js";
import { type NexusError, NotFound, PermissionDenied } from "../../model/errors.js";
import type { StreamContext } from "./bound_service.js";
import { type RpcDescription, rpcName } from "./rpc_access.js";
import type { DefinedMethod } from "./service_definition.js";

export interface Guard {
  readonly access: AccessControl;
  readonly gate: RequestGate;
  readonly deniedAccess: Pick<CountedAudit, "record">;
  /** Of a fleet: what is not found at a hub that does not lead may have been made at another one a moment ago. */
  readonly member?: { readonly leads: boolean; catchUp(): Promise<void> } | undefined;
}

/** Why a caller may not go on, and what it asked for, where that was looked at. */
interface GuardRefusal {
  readonly error: NexusError;
  readonly resource?: RequestedResource;
}

/**
 * The policy in front of one RPC: the role, before anything of the request is looked at; then the connection or provider that it names,
 * for a restricted caller. A call ends when its caller does.
 */
export class CallGuard {
  readonly #rpc: RpcDescription;

  /** @throws Error for an RPC that nothing describes: it is not served */
  constructor(
    private readonly method: DefinedMethod,
    private readonly guard: Guard,
  ) {
    const { rpc, descriptor } = method;
    if (!rpc) throw new Error(`${rpcName(descriptor)} has no options: its proto must say who may call it`);
    this.#rpc = rpc;
  }

  /**
   * @param request undefined where requests are a stream, which is judged by what it answers
   * @returns what the caller may; a promise that rejects with the refusal once it is on record
   * @throws NexusError
   */
  admit(request: Message | undefined, { principal }: StreamContext): Permissions | Promise<never> {
    const judged = this.#judge(request, principal);
    return "error" in judged ? this.#refuse(request, principal, judged) : judged;
  }

  /** As `admit`, of one request: of a hub that follows, what is not found is looked for again when its copy has caught up. */
  admitCall(request: Message, context: StreamContext): Permissions | Promise<Permissions> {
    const { member } = this.guard;
    if (member === undefined || member.leads) return this.admit(request, context);
    const judged = this.#judge(request, context.principal);
    if (!("error" in judged)) return judged;
    if (!(judged.error instanceof NotFound)) return this.#refuse(request, context.principal, judged);
    return member.catchUp().then(() => this.admit(request, context));
  }

  /** Calls `end` when the caller may not go on. @returns ends the watch */
  hold(principal: Principal, admitted: Permissions, end: (error: NexusError) => void): () => void {
    return this.guard.access.hold(principal, this.#rpc.action, admitted, end, true);
  }

  /** Settles as the answer does, or rejects as soon as the caller ends. */
  async untilEnded(answer: Promise<Message>, principal: Principal, admitted: Permissions): Promise<Message> {
    const { access } = this.guard;
    const answered = await new Promise<Message>((resolve, reject) => {
      const release = access.hold(principal, this.#rpc.action, admitted, reject, false);
      answer.finally(release).then(resolve, reject);
    });
    access.refuseEnded(principal);
    return answered;
  }

  #judge(request: Message | undefined, principal: Principal): Permissions | GuardRefusal {
    const { access, gate } = this.guard;
    const { action, resourceOf } = this.#rpc;
    let permissions: Permissions;
    try {
      permissions = access.admit(principal, action);
    } catch (error) {
      if (error instanceof PermissionDenied) return { error };
      throw error;
    }
    if (resourceOf === undefined || request === undefined || !permissions.isRestricted) return permissions;
    const what = resourceOf(request);
    const error = gate.refusal(permissions, action, what);
    return error ? { error, resource: what } : permissions;
  }

  #refuse(
    request: Message | undefined,
    principal: Principal,
    { error, resource }: GuardRefusal,
  ): Promise<never> {
    // A request that breaks its rules gets that error whether what it names exists or not.
    if (resource && request) this.method.validate(request);
    return this.#denied(
      principal,
      error,
      resource && "connectionId" in resource ? resource.connectionId : undefined,
    );
  }

  async #denied(principal: Principal, refusal: NexusError, connectionId?: string): Promise<never> {
    const { action } = this.#rpc;
    await this.guard.deniedAccess.record(`${action} ${principal.name}`, () => ({
      ...{ type: "access.denied", ...by(principal), reason: action, connectionId },
    }));
    throw refusal;
  }
}
