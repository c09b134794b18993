import { create } from "@bufbuild/protobuf";
import {
  CheckConnectionResponseSchema,
  GetTokenResponseSchema,
  NexusService,
  RefreshConnectionResponseSchema,
  RequestConnectionResponseSchema,
} from "../../gen/nexus/v1/nexus_pb.js";
import type { BoundService } from "../../service/pipeline/bound_service.js";
import { callerOf } from "../../service/pipeline/rpc_call.js";
import { defineService, type ServiceDefinition } from "../../service/pipeline/service_definition.js";
import { checkConnection, getToken, refreshConnection, requestConnection } from "./gateway_calls.js";

/** The four RPCs of the Nexus gateway, by the services that took their place. */
export function nexusService(services: readonly BoundService[], nowMs: () => number): ServiceDefinition {
  const callerFor = callerOf(services);
  return defineService(NexusService, {
    async requestConnection(request, context) {
      const { authUrl, state, scopes, providerId, connectionId } = await requestConnection(
        callerFor(context),
        request,
      );
      return create(RequestConnectionResponseSchema, { authUrl, state, scopes, providerId, connectionId });
    },

    async checkConnection({ connectionId }, context) {
      return create(CheckConnectionResponseSchema, await checkConnection(callerFor(context), connectionId));
    },

    async getToken({ connectionId }, context) {
      const token = await getToken(callerFor(context), connectionId, nowMs());
      return create(GetTokenResponseSchema, { token });
    },

    async refreshConnection({ connectionId }, context) {
      const token = await refreshConnection(callerFor(context), connectionId, nowMs());
      return create(RefreshConnectionResponseSchema, { token });
    },
  });
}
