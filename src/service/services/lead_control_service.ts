import { create } from "@bufbuild/protobuf";
import { FleetService, StepDownResponseSchema } from "../../gen/nexus/v1/fleet_pb.js";
import { FailedPrecondition } from "../../model/errors.js";
import { defineService, type ServiceDefinition } from "../pipeline/service_definition.js";

/** What an operator does with the lead of the hubs. */
export interface LeadControl {
  /** Begins to give the lease back. @returns the address of this hub @throws NotLeader; FailedPrecondition NO_OTHER_HUB */
  stepDown(): string;
}

/** @param lead undefined where the daemon is alone */
export function leadControlService(lead: LeadControl | undefined): ServiceDefinition {
  return defineService(FleetService, {
    stepDown() {
      if (lead === undefined)
        throw new FailedPrecondition("NOT_A_HUB", "this daemon is not in a fleet: NEXUS_STORE is not set");
      return create(StepDownResponseSchema, { address: lead.stepDown() });
    },
  });
}
