import { create } from "@bufbuild/protobuf";
import { ListUsesResponseSchema, ResetUsesResponseSchema, UseService } from "../../gen/nexus/v1/use_pb.js";
import { present, timestampOf, useLimitMessage } from "../../service/messages/messages.js";
import { defineService, type ServiceDefinition } from "../../service/service.js";
import type { StoredUseCounts } from "./use_counts.js";

export function useService(uses: StoredUseCounts): ServiceDefinition {
  return defineService(UseService, {
    async listUses() {
      const counts = uses.list().map(({ principal, ruleLine, limit, used, endsAtMs }) => ({
        ...{ principal, ruleLine, used, limit: useLimitMessage(limit) },
        ...present({ endsAt: timestampOf(endsAtMs) }),
      }));
      return create(ListUsesResponseSchema, { counts });
    },

    async resetUses({ principal: name }, { principal }) {
      await uses.reset(name, principal);
      return create(ResetUsesResponseSchema);
    },
  });
}
