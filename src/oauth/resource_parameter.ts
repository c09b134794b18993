import type { OAuth2Options } from "../model/providers/profile_settings.js";

/** Entra's endpoints answer `resource` with AADSTS901002 or AADSTS9010010: they take scopes in its place. */
const refusesResource = /^login\.(partner\.)?microsoftonline\.[a-z]{2,}$/;

/**
 * The `resource` (RFC 8707 section 2) that a request to this endpoint has; undefined when it has none.
 *
 * @param endpoint URL of the authorization or token endpoint
 */
export function sentResource(
  { resource, resourceParameter }: OAuth2Options,
  endpoint: string,
): string | undefined {
  if (resource === "" || resourceParameter === "never") return undefined;
  if (resourceParameter === "always") return resource;
  const host = URL.canParse(endpoint) ? new URL(endpoint).hostname : "";
  return refusesResource.test(host) ? undefined : resource;
}
