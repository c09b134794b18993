import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { AccessControl } from "../domain/access_control.js";
import type { AuditedTokens } from "../domain/audited_tokens.js";
import type { TokenWatch } from "../domain/token_watch.js";
import {
  RefreshTokenResponseSchema,
  TokenService,
  TokenServiceGetTokenResponseSchema,
} from "../gen/nexus/v1/token_pb.js";
import { bindService } from "./bind_service.js";
import type { BoundService } from "./bound_service.js";
import { tokenMessage, watchMessage } from "./token_message.js";

const defaultBookmarkIntervalMs = 30_000;

export function tokenService(options: {
  readonly tokens: Pick<AuditedTokens, "getToken" | "refreshToken">;
  readonly watch: Pick<TokenWatch, "watch">;
  readonly access: Pick<AccessControl, "viewOf">;
}): BoundService {
  const { tokens, watch, access } = options;
  return bindService(TokenService, {
    async getToken(request, context) {
      const minTtlMs = request.minTtl ? durationMs(request.minTtl) : 0;
      const token = await tokens.getToken(request.connectionId, minTtlMs, context.principal);
      return create(TokenServiceGetTokenResponseSchema, { token: tokenMessage(token) });
    },

    async refreshToken(request, context) {
      const token = await tokens.refreshToken(request.connectionId, context.principal);
      return create(RefreshTokenResponseSchema, { token: tokenMessage(token) });
    },

    async *watchTokens(request, context) {
      const ids = request.connectionIds;
      const events = watch.watch(
        {
          connectionIds: ids.length === 0 ? undefined : new Set(ids),
          userId: request.userId === "" ? undefined : request.userId,
          position: request.position && {
            epoch: request.position.epoch,
            revision: request.position.revision,
          },
          bookmarkIntervalMs: request.bookmarkInterval
            ? durationMs(request.bookmarkInterval)
            : defaultBookmarkIntervalMs,
          principal: context.principal,
          view: access.viewOf(context.principal),
        },
        context.signal,
      );
      for await (const event of events) yield watchMessage(event);
    },
  });
}
