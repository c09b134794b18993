import { create } from "@bufbuild/protobuf";
import { durationFromMs, durationMs } from "@bufbuild/protobuf/wkt";
import {
  OAuth2OptionsSchema,
  type OAuth2Options as OptionsMessage,
  TokenRequestFormat,
} from "../../gen/nexus/v1/provider_pb.js";
import { type OAuth2Options, plainOAuth2 } from "../../model/providers/oauth2_options.js";

export function optionsMessage(options: OAuth2Options): OptionsMessage {
  const { defaultLifetimeMs, ...same } = options;
  return create(OAuth2OptionsSchema, {
    ...same,
    scopeSeparator: options.scopeSeparator === " " ? "" : options.scopeSeparator,
    tokenParams: { ...options.tokenParams },
    refreshParams: { ...options.refreshParams },
    tokenHeaders: { ...options.tokenHeaders },
    tokenRequestFormat:
      options.tokenRequestFormat === "json" ? TokenRequestFormat.JSON : TokenRequestFormat.FORM,
    callbackMetadata: [...options.callbackMetadata],
    tokenMetadata: [...options.tokenMetadata],
    invalidGrantAliases: [...options.invalidGrantAliases],
    ...(defaultLifetimeMs === undefined ? {} : { defaultLifetime: durationFromMs(defaultLifetimeMs) }),
  });
}

export function optionsOf(message: OptionsMessage | undefined): OAuth2Options {
  if (!message) return plainOAuth2;
  const { $typeName: _, $unknown: __, defaultLifetime, ...same } = message;
  return {
    ...same,
    scopeSeparator: message.scopeSeparator === "" ? " " : message.scopeSeparator,
    tokenRequestFormat: message.tokenRequestFormat === TokenRequestFormat.JSON ? "json" : "form",
    defaultLifetimeMs: defaultLifetime && durationMs(defaultLifetime),
  };
}
