/** The door of `model/providers`: a provider profile, its fields, and its forms, as plain values. */

export { canonicalMcpServerUrl } from "./../mcp/mcp_server_url.js";
export {
  changeOfContract,
  contractKeys,
  contractOfProfile,
  type ProfileDraft,
  profileOfContract,
} from "./contract_profile.js";
export { defaultStrategyOf, strategyParams, withoutStrategy } from "./contract_strategy.js";
export { isConsented, isUnattended } from "./grant_type.js";
export {
  oauth2Fields,
  type ProfileField,
  plainOAuth2,
  profileFields,
  profileMessage,
  profileSettings,
  settingOf,
} from "./profile_fields.js";
export { givenSettings, isEmptyJson, optionsConfig, settingJson } from "./profile_json.js";
export type { OAuth2Options } from "./profile_settings.js";
export {
  canonicalName,
  isLoopbackHost,
  namePattern,
  type ProviderProfile,
  type ProviderSettings,
  providerViolations,
  type TokenEndpointAuthMethod,
} from "./provider_profile.js";
export { redirectPathPrefix } from "./redirect_path.js";
export { strategyOf } from "./strategy_message.js";
export type { Suspension } from "./suspension.js";
