import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { AccessControl } from "../domain/access_control.js";
import type { AuditedTokens } from "../domain/audited_tokens.js";
import type { ConnectionView, CurrentToken } from "../domain/credential_reader.js";
import type { TokenWatch, WatchEvent } from "../domain/token_watch.js";
import {
  RefreshTokenResponseSchema,
  TokenService,
  type TokenServiceGetTokenResponse,
  TokenServiceGetTokenResponseSchema,
  type WatchTokensResponse,
  WatchTokensResponseSchema,
} from "../gen/nexus/v1/token_pb.js";
import { bindService, type ServiceImplementation } from "./bind_service.js";
import type { BoundService } from "./bound_service.js";
import { shareMessage } from "./shared_message.js";
import { tokenMessage, watchMessage } from "./token_message.js";

const defaultBookmarkIntervalMs = 30_000;

export function tokenService(options: {
  readonly tokens: Pick<AuditedTokens, "getToken" | "refreshToken">;
  readonly watch: Pick<TokenWatch, "watch">;
  readonly access: Pick<AccessControl, "viewOf">;
}): BoundService {
  const { tokens, watch, access } = options;
  const answers = new WeakMap<CurrentToken, TokenServiceGetTokenResponse>();
  const states = new WeakMap<ConnectionView, WatchTokensResponse>();
  /** One message, encoded once, for as long as the domain answers the same token. */
  const answerOf = (token: CurrentToken): TokenServiceGetTokenResponse => {
    const known = answers.get(token);
    if (known) return known;
    const answer = create(TokenServiceGetTokenResponseSchema, { token: tokenMessage(token) });
    answers.set(token, shareMessage(TokenServiceGetTokenResponseSchema, answer));
    return answer;
  };
  /** As above, for every subscriber that sees the connection. */
  const eventOf = (event: WatchEvent): WatchTokensResponse => {
    if (event.kind !== "state" || !event.view.token) return watchMessage(event);
    const known = states.get(event.view);
    if (known) return known;
    const state = shareMessage(WatchTokensResponseSchema, watchMessage(event));
    states.set(event.view, state);
    return state;
  };
  const implementation: ServiceImplementation<typeof TokenService> = {
    getToken(request, context) {
      const minTtlMs = request.minTtl ? durationMs(request.minTtl) : 0;
      const token = tokens.getToken(request.connectionId, minTtlMs, context.principal);
      return token instanceof Promise ? token.then(answerOf) : answerOf(token);
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
      for await (const event of events) yield eventOf(event);
    },
  };
  return bindService(TokenService, implementation, { repeated: ["getToken"] });
}
