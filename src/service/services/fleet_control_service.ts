import { create } from "@bufbuild/protobuf";
import { FleetService, StepDownResponseSchema } from "../../gen/nexus/v1/fleet_pb.js";
import { FailedPrecondition } from "../../model/errors.js";
import { defineService, type ServiceDefinition } from "../pipeline/service_definition.js";

/** What an operator does with the hubs of a fleet. */
export interface FleetControl {
  /** Begins to give the lease back. @returns the address of this hub @throws NotLeader; FailedPrecondition NO_OTHER_HUB */
  stepDown(): string;
}

/** @param fleet undefined where the daemon is alone */
export function fleetControlService(fleet: FleetControl | undefined): ServiceDefinition {
  return defineService(FleetService, {
    stepDown() {
      if (fleet === undefined)
        throw new FailedPrecondition("NOT_A_HUB", "this daemon is not in a fleet: NEXUS_STORE is not set");
      return create(StepDownResponseSchema, { address: fleet.stepDown() });
    },
  });
}
