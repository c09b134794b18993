import { type DescMethod, fromBinary, type Message } from "@bufbuild/protobuf";
import { AuditService } from "../../../gen/nexus/v1/audit_pb.js";
import type { Principal } from "../../../model/access/principal.js";
import { NotFound, NotLeader } from "../../../model/errors.js";
import { orElse } from "../../../service/forwarding/or_else.js";
import { bytesOf } from "../../../service/forwarding/wire_status.js";
import type { CallContext } from "../../../service/pipeline/bound_service.js";
import { rpcName } from "../../../service/pipeline/rpc_access.js";
import type { DefinedMethod, ServiceDefinition } from "../../../service/pipeline/service_definition.js";

/**
 * Unary RPCs that change something, or call a provider before they do: only the leader of a fleet carries them out. All others are answered
 * by the hub that is asked; one of those that finds that it must write (`AcquireToken` that needs a link) is asked of the leader then.
 */
const led: ReadonlySet<string> = new Set(
  Object.entries({
    ProviderService: ["CreateProvider", "UpdateProvider", "DeleteProvider"],
    ConnectionService: [
      "RequestConnection",
      "ConfirmConnection",
      "RevokeConnection",
      "DeleteConnection",
      "ReplaceCredential",
      "GetCaptureSchema",
      "CaptureCredential",
      "ImportConnection",
      "RefreshConnection",
    ],
    TokenService: ["RefreshToken", "ReportRejectedToken"],
    AccessService: ["CreateApiKey", "RotateApiKey", "RevokeApiKey"],
    ClientKeyService: ["RotateClientKeys"],
    KeyringService: ["AddKey", "RotateKeyring", "RetireKey"],
    NotificationService: ["TestReceivers"],
    // Requests wait at the leader, whichever hub they came to.
    ApprovalService: ["ListHeldRequests", "DecideHeldRequest", "FindApprovalPage", "StopPrincipal"],
    FleetService: ["StepDown"],
  }).flatMap(([service, names]) => names.map((name) => `nexus.v1.${service}/${name}`)),
);

/** Whether an RPC is the leader's whatever it finds. */
function isLed(method: DescMethod): boolean {
  return led.has(rpcName(method));
}

/** For a test that every name is one of the contract. */
export const ledRpcs: readonly string[] = [...led];

/** Whether the caller of an RPC waits for a person. */
export type Wait = "none" | "meant" | "over";

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
  /** Brings this hub to where the fleet is now, as far as the database can be asked. */
  catchUp(): Promise<void>;
  /** Brings into the log of the fleet, and here, what this hub has put on record; gives up after two seconds. */
  recorded(): Promise<void>;
}

/** What they answer holds what was put on record at this hub before they were asked. */
const ofRecord: ReadonlySet<string> = new Set(
  [AuditService.method.listAuditEvents, AuditService.method.verifyAuditLog].map(rpcName),
);

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

function ledCall(method: UnaryMethod, leader: Leader): UnaryMethod["call"] {
  const { descriptor } = method;
  const isAlways = isLed(descriptor);
  if (ofRecord.has(rpcName(descriptor)))
    return (request, context) => leader.recorded().then(() => method.call(request, context));
  const forward = async (request: Message, context: CallContext, hasWaited = false): Promise<Message> => {
    const bytes = bytesOf(descriptor.input, request);
    const { principal, signal } = context;
    // A request to an API that is shown to the rules may be held there until a person answers.
    const mayWait =
      method.isWait?.(request) === true || (request as { request?: object }).request !== undefined;
    const wait = hasWaited ? "over" : mayWait ? "meant" : "none";
    const answer = await leader.call(rpcName(descriptor), bytes, principal, signal, wait);
    if (answer === "here") return await method.call(request, { ...context, hasWaited });
    return fromBinary(descriptor.output, answer);
  };
  const askLeader = async (error: unknown, request: Message, context: CallContext): Promise<Message> => {
    if (error instanceof NotLeader) return await forward(request, context, error.hasWaited);
    if (!(error instanceof NotFound)) throw error;
    // It may have been made at another hub a moment ago.
    await leader.catchUp();
    return await method.call(request, context);
  };
  return (request, context) => {
    if (leader.isHere) return method.call(request, context);
    if (isAlways) return forward(request, context);
    return orElse(
      () => method.call(request, context),
      (error) => askLeader(error, request, context),
    );
  };
}
