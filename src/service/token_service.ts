import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { TokenManager } from "../domain/token_manager.js";
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
  readonly manager: Pick<TokenManager, "getToken" | "refreshToken">;
  readonly watch: Pick<TokenWatch, "watch">;
}): BoundService {
  const { manager, watch } = options;
  return bindService(TokenService, {
    async getToken(request) {
      const minTtlMs = request.minTtl ? durationMs(request.minTtl) : 0;
      const token = await manager.getToken(request.connectionId, minTtlMs);
      return create(TokenServiceGetTokenResponseSchema, { token: tokenMessage(token) });
    },

    async refreshToken(request) {
      const token = await manager.refreshToken(request.connectionId);
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
        },
        context.signal,
      );
      for await (const event of events) yield watchMessage(event);
    },
  });
}
