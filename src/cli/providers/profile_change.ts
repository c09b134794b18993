import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ProviderSchema } from "../../gen/nexus/v1/provider_pb.js";
import { durationOf } from "../shell/duration.js";
import { methodNumber, type ProfileFlags, scopesOf } from "./provider_flags.js";

type Fields = Exclude<MessageInitShape<typeof ProviderSchema>, { $typeName: string }>;

/** Fields of a profile and the names of those that are set, as an update mask wants them. */
export interface ProfileChange {
  readonly fields: Fields;
  readonly mask: readonly string[];
}

/** What the given flags set, and nothing else. An empty value clears its field. */
export function profileChange(flags: ProfileFlags): ProfileChange {
  const fields: Fields = {};
  const mask: string[] = [];
  const set = <Value>(name: string, value: Value | undefined, apply: (value: Value) => void): void => {
    if (value === undefined) return;
    apply(value);
    mask.push(name);
  };
  set("client_id", flags.clientId, (value) => {
    fields.clientId = value;
  });
  set("token_endpoint_auth_method", flags.authMethod, (value) => {
    fields.tokenEndpointAuthMethod = methodNumber(value);
  });
  set("issuer", flags.issuer, (value) => {
    fields.issuer = value;
  });
  set("enable_discovery", flags.discovery, (value) => {
    fields.enableDiscovery = value;
  });
  set("auth_url", flags.authUrl, (value) => {
    fields.authUrl = value;
  });
  set("token_url", flags.tokenUrl, (value) => {
    fields.tokenUrl = value;
  });
  set("jwks_url", flags.jwksUrl, (value) => {
    fields.jwksUrl = value;
  });
  set("scopes", scopesOf(flags), (value) => {
    fields.scopes = value;
  });
  set("authorization_params", flags.param, (value) => {
    fields.authorizationParams = value;
  });
  set("api_base_url", flags.apiBaseUrl, (value) => {
    fields.apiBaseUrl = value;
  });
  set("user_info_endpoint", flags.userInfoEndpoint, (value) => {
    fields.userInfoEndpoint = value;
  });
  set("description", flags.description, (value) => {
    fields.description = value;
  });
  set("category", flags.category, (value) => {
    fields.category = value;
  });
  set("refresh_window", flags.refreshWindow, (value) => {
    if (value !== "default") fields.refreshWindow = durationOf(value);
  });
  return { fields, mask };
}
