import { create, fromBinary, type Message, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { RefreshOptions } from "../../../domain/grants/grants.js";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import {
  type Caller,
  CallerSchema,
  type CallRequest,
  type CallResponse,
  CallResponseSchema,
  FleetService,
  type HoldRequest,
  HoldResponseSchema,
  type OutboxEntry,
  type PageRequest,
  type PageResponse,
  PageResponseSchema,
  TakeBackResponseSchema,
} from "../../../gen/nexus/fleet/v1/fleet_pb.js";
import type { Principal, PrincipalKind } from "../../../model/access/access.js";
import type { RefreshOutcome } from "../../../model/connections/connections.js";
import { NexusError, type WaitedFor } from "../../../model/model.js";
import {
  type BoundMethod,
  type BoundService,
  bytesOf,
  type CallContext,
  codes,
  defineService,
  onBehalfFrom,
  onBehalfMessage,
  rpcName,
  type ServiceDefinition,
  type ServiceImplementation,
  statusOf,
  toWireError,
  WireError,
} from "../../../service/service.js";

/** `google.rpc.ErrorInfo` of a hub that was asked and does not lead. */
export const notLeader = { reason: "NOT_LEADER", domain: "nexus.fleet.v1" } as const;

export type PageAnswer = Pick<PageResponse, "status" | "body"> & {
  readonly headers: readonly { readonly name: string; readonly value: string }[];
};

/** What the leader does for the other hubs, and what any hub reports to the leader. */
export interface FleetParts {
  /** Whether this hub leads; what is asked otherwise is refused. */
  readonly isLeader: () => boolean;
  /** The contract, without what happens at a listener. */
  readonly services: readonly BoundService[];
  refresh(connectionId: string, isDemanded: boolean, options: RefreshOptions): Promise<RefreshOutcome>;
  page(request: PageRequest): Promise<PageAnswer>;
  hold(
    request: HoldRequest,
    principal: Principal,
    signal: AbortSignal,
  ): Promise<NexusError | Pick<MessageInitShape<typeof HoldResponseSchema>, HoldAnswer>>;
  takeBack(useId: string): void;
  /** @returns the sequence up to which everything of that source is in the log */
  appendAudit(source: string, entries: readonly OutboxEntry[], via: string | undefined): Promise<bigint>;
  /** Newest position of the log that is applied here. */
  position(): bigint;
  /** Whether this hub could lead instead of one that reaches none of these origins, the clock of its machine, and why it writes nothing. */
  reach(origins: readonly string[]): Promise<{
    readonly mayLead: boolean;
    readonly reached: boolean;
    readonly clockMs: number;
    readonly writeTrouble: string;
  }>;
}

type HoldAnswer = "approver" | "decided" | "rule" | "shadow" | "useId";
type FleetMethods = ServiceImplementation<typeof FleetService>;

/** `FleetService` for the fleet listener: its callers are hubs, whom the listener knows; there is no policy for them. */
export function fleetService(parts: FleetParts): BoundService {
  return bound(defineService(FleetService, new FleetRpcs(parts)), parts);
}

function bound({ descriptor, methods }: ServiceDefinition, { isLeader }: FleetParts): BoundService {
  return {
    descriptor,
    methods: methods.map((method): BoundMethod => {
      if (method.kind !== "unary") throw new Error(`${method.descriptor.name} is no unary RPC`);
      const { validate, isWait: _, rpc: __, ...served } = method;
      const isOfLeader = method.descriptor !== FleetService.method.reach;
      const call = async (request: Message, context: CallContext): Promise<Message> => {
        try {
          validate(request);
          if (isOfLeader && !isLeader()) throw notLeaderError();
          return await method.call(request, context);
        } catch (error) {
          throw toWireError(error);
        }
      };
      return { ...served, call };
    }),
  };
}

function notLeaderError(): WireError {
  const value = create(ErrorInfoSchema, notLeader);
  const detail = { descriptor: ErrorInfoSchema, value };
  return new WireError(codes.unavailable, "this hub does not lead", [detail]);
}

class FleetRpcs implements FleetMethods {
  readonly #methods = new Map<string, BoundMethod>();

  constructor(private readonly parts: FleetParts) {
    for (const { methods } of parts.services)
      for (const method of methods) this.#methods.set(rpcName(method.descriptor), method);
  }

  call: FleetMethods["call"] = async (forwarded, { signal }) => {
    const { method, request, caller, via } = forwarded;
    const found = this.#methods.get(method);
    if (found?.kind !== "unary" || caller === undefined)
      throw new WireError(
        codes.unimplemented,
        `this hub has no unary RPC ${method}: it is of another version`,
      );
    const principal = principalOf(caller, via);
    const outcome = await carriedOut(found, request, { principal, signal, waitedFor: waitedFor(forwarded) });
    return create(CallResponseSchema, { outcome, position: this.parts.position() });
  };

  refresh: FleetMethods["refresh"] = async ({ connectionId, isDemanded, onlyRevision }) => {
    const options = onlyRevision === undefined ? {} : { onlyRevision };
    const outcome = await this.parts.refresh(connectionId, isDemanded, options);
    return { $typeName: "nexus.fleet.v1.RefreshResponse", outcome, position: this.parts.position() };
  };

  hold: FleetMethods["hold"] = async (request, { signal }) => {
    const principal = principalOf(request.caller ?? create(CallerSchema), request.via);
    const answer = await this.parts.hold(request, principal, signal).catch((error: unknown) => ({ error }));
    const { approvers } = request;
    if ("approver" in answer) return create(HoldResponseSchema, { ...answer, approvers });
    const error = "error" in answer ? answer.error : answer;
    const wireError = toWireError(error);
    if (!(wireError instanceof WireError)) throw wireError;
    const { rule = "" } = (error instanceof NexusError && error.use) || {};
    return create(HoldResponseSchema, { refusal: statusOf(wireError), rule });
  };

  takeBack: FleetMethods["takeBack"] = async ({ useId }) => {
    this.parts.takeBack(useId);
    return create(TakeBackResponseSchema);
  };

  page: FleetMethods["page"] = async (request) => {
    const { status, headers, body } = await this.parts.page(request);
    const position = this.parts.position();
    return create(PageResponseSchema, { status, headers: [...headers], body, position });
  };

  appendAudit: FleetMethods["appendAudit"] = async ({ source, entries, via }) => {
    const sequence = await this.parts.appendAudit(source, entries, via === "" ? undefined : via);
    return { $typeName: "nexus.fleet.v1.AppendAuditResponse", sequence };
  };

  reach: FleetMethods["reach"] = async ({ origins }) => {
    const { mayLead, reached, clockMs, writeTrouble } = await this.parts.reach(origins);
    return {
      $typeName: "nexus.fleet.v1.ReachResponse",
      ...{ mayLead, reached, writeTrouble, clock: timestampFromMs(Math.round(clockMs)) },
    };
  };
}

function waitedFor({ hasWaited, exchangeOverdue }: CallRequest): WaitedFor | undefined {
  if (!hasWaited) return undefined;
  return exchangeOverdue ? "exchange" : "person";
}

/** Errors of the RPC are an answer too: its caller is at the other hub. */
async function carriedOut(
  method: BoundMethod & { readonly kind: "unary" },
  bytes: Uint8Array,
  context: CallContext,
): Promise<CallResponse["outcome"]> {
  const { input, output } = method.descriptor;
  try {
    const answer = await method.call(fromBinary(input, bytes), context);
    return { case: "response", value: bytesOf(output, answer) };
  } catch (error) {
    const wireError = toWireError(error);
    if (!(wireError instanceof WireError)) throw error;
    return { case: "error", value: statusOf(wireError) };
  }
}

export function callerOf(principal: Principal): Caller {
  const { name, kind, origin = "", via = [], onBehalfOf, isProxied = false, expiresAtMs } = principal;
  return create(CallerSchema, {
    ...{ name, kind, origin, via: [...via], isProxied },
    ...(onBehalfOf && { onBehalfOf: onBehalfMessage(onBehalfOf) }),
    ...(expiresAtMs !== undefined && { expiresAt: timestampFromMs(expiresAtMs) }),
  });
}

/** Whatever kind another hub names: what it may is decided by its name, and by a kind that is known. */
function principalOf(caller: Caller, hub: string): Principal {
  const { name, kind, origin, via, onBehalfOf, isProxied, expiresAt } = caller;
  const passed = hub === "" ? via : [...via, hub];
  return {
    name,
    kind: kind as PrincipalKind,
    ...(origin !== "" && { origin }),
    ...(passed.length > 0 && { via: passed }),
    ...(onBehalfOf && { onBehalfOf: onBehalfFrom(onBehalfOf) }),
    ...(isProxied && { isProxied }),
    ...(expiresAt && { expiresAtMs: timestampMs(expiresAt) }),
  };
}
