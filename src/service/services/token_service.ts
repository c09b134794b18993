import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import type { AccessControl } from "../../domain/access/access_control.js";
import type { ConnectionNames } from "../../domain/access/connection_names.js";
import type { ConnectionView, CurrentToken } from "../../domain/credentials/credential_reader.js";
import type { TokenWatch } from "../../domain/tokens/token_watch.js";
import type { Tokens } from "../../domain/tokens/tokens.js";
import type { WatchEvent } from "../../domain/tokens/watch_event.js";
import {
  RefreshTokenResponseSchema,
  TokenService,
  type TokenServiceGetTokenResponse,
  TokenServiceGetTokenResponseSchema,
  type WatchTokensResponse,
  WatchTokensResponseSchema,
} from "../../gen/nexus/v1/token_pb.js";
import { connectionKey } from "../messages/connection_key.js";
import { shareMessage } from "../messages/shared_message.js";
import { tokenMessage, watchMessage } from "../messages/token_message.js";
import type { CallContext } from "../pipeline/bound_service.js";
import {
  defineService,
  type ServiceDefinition,
  type ServiceImplementation,
} from "../pipeline/service_definition.js";

const defaultBookmarkIntervalMs = 30_000;

export function tokenService(options: {
  readonly tokens: Pick<Tokens, "getToken" | "refreshToken">;
  readonly watch: Pick<TokenWatch, "open">;
  readonly access: Pick<AccessControl, "viewOf">;
  readonly names: Pick<ConnectionNames, "idOf" | "partsOf">;
}): ServiceDefinition {
  const { tokens, watch, access, names } = options;
  const idOf = (request: Parameters<typeof connectionKey>[0], { principal }: CallContext): string =>
    names.idOf(connectionKey(request), principal);
  const answers = new WeakMap<CurrentToken, TokenServiceGetTokenResponse>();
  const messages = new WeakMap<WatchEvent | ConnectionView, WatchTokensResponse>();
  /** One message, encoded once, for as long as the domain answers the same token. */
  const answerOf = (token: CurrentToken): TokenServiceGetTokenResponse => {
    const known = answers.get(token);
    if (known) return known;
    const answer = create(TokenServiceGetTokenResponseSchema, { token: tokenMessage(token) });
    answers.set(token, shareMessage(TokenServiceGetTokenResponseSchema, answer));
    return answer;
  };
  /** As above: streams that get the same event, or the same token, share its bytes. */
  const messageOf = (event: WatchEvent): WatchTokensResponse => {
    const source = event.kind === "state" && event.view.token ? event.view : event;
    const known = messages.get(source);
    if (known) return known;
    const message = shareMessage(WatchTokensResponseSchema, watchMessage(event));
    messages.set(source, message);
    return message;
  };
  const implementation: ServiceImplementation<typeof TokenService> = {
    getToken(request, context) {
      const minTtlMs = request.minTtl ? durationMs(request.minTtl) : 0;
      const token = tokens.getToken(idOf(request, context), minTtlMs, context.principal);
      return token instanceof Promise ? token.then(answerOf) : answerOf(token);
    },

    async refreshToken(request, context) {
      const token = await tokens.refreshToken(idOf(request, context), context.principal);
      return create(RefreshTokenResponseSchema, { token: tokenMessage(token) });
    },

    watchTokens(request, context, sink) {
      const isAll = request.connectionIds.length === 0 && request.names.length === 0;
      return watch.open(
        {
          connectionIds: isAll ? undefined : new Set(request.connectionIds),
          names: request.names.flatMap((name) => names.partsOf(name) ?? []),
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
        { send: (event) => sink.send(messageOf(event)), end: (error) => sink.end(error) },
      );
    },
  };
  return defineService(TokenService, implementation, { repeated: ["getToken", "watchTokens"] });
}
