import type { FieldViolation } from "../model/errors.js";
import type { ProviderSettings } from "../model/providers/provider_profile.js";
import { isOpenable, judgeHost } from "./address_judge.js";
import type { ProviderNetworks } from "./provider_networks.js";

/**
 * URLs of a profile whose host stands where no provider may: what can be known without resolving a name. `providerViolations` has judged
 * their form. A private address in `api_base_url` is the agent's affair, since the daemon does not call it.
 */
export function networkViolations(settings: ProviderSettings, networks: ProviderNetworks): FieldViolation[] {
  const { oauth2, authType } = settings;
  const urls: [field: string, url: string][] = [
    ["issuer", settings.issuer],
    ["auth_url", settings.authUrl],
    ["token_url", settings.tokenUrl],
    ["jwks_url", settings.jwksUrl],
    ["oauth2_options.refresh_url", oauth2.refreshUrl],
    ["oauth2_options.revocation_url", oauth2.revocationUrl],
    ["oauth2_options.device_authorization_url", oauth2.deviceAuthorizationUrl],
    ["oauth2_options.pushed_authorization_request_url", oauth2.pushedAuthorizationRequestUrl],
    ["user_info_endpoint", settings.userInfoEndpoint],
    ["mcp_server_url", settings.mcpServerUrl],
    ["api_base_url", settings.apiBaseUrl],
  ];
  return urls.flatMap(([field, url]) => {
    if (!URL.canParse(url)) return [];
    const { hostname } = new URL(url);
    const refusal = judgeHost(hostname, networks);
    const isCalled = field !== "api_base_url" || (authType !== "oauth2" && settings.userInfoEndpoint !== "");
    if (refusal === undefined || (!isCalled && isOpenable(refusal.kind))) return [];
    return [{ field: `provider.${field}`, description: `${hostname} ${refusal.why}` }];
  });
}
