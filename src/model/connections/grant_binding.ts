import { createHash } from "node:crypto";
import type { ProviderSettings } from "../providers/provider_profile.js";

/** Asked for several times with each grant of a profile, whose object stays the same as long as its record does. */
const bindings = new WeakMap<ProviderSettings, string>();

/**
 * To whom a refresh token belongs, or an access token where there is no other: the client, the issuer and the endpoints that the profile sends it to. A grant that was obtained under
 * one binding is never sent under another. With discovery the issuer alone says where its endpoints are, by its document under
 * its own TLS name, so a document that moves them is followed. A revocation endpoint counts when it stands at an origin of its own.
 *
 * @returns hex of a SHA-256
 */
export function grantBinding(profile: ProviderSettings): string {
  let binding = bindings.get(profile);
  if (binding === undefined) {
    binding = computeBinding(profile);
    bindings.set(profile, binding);
  }
  return binding;
}

function computeBinding(profile: ProviderSettings): string {
  // Beside discovery it is empty, or goes before what is discovered.
  const { oauth2, tokenUrl } = profile;
  const places = [profile.issuer, tokenUrl, oauth2.refreshUrl].map(originOf);
  const isForeign = !places.includes(originOf(oauth2.revocationUrl));
  const parts = [
    "nexusd grant v1",
    profile.clientId,
    profile.issuer,
    canonical(tokenUrl),
    canonical(oauth2.refreshUrl),
    isForeign ? canonical(oauth2.revocationUrl) : "",
  ];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

function canonical(url: string): string {
  return URL.canParse(url) ? new URL(url).href : url;
}

/** Of what is no URL, nothing: the empty revocation URL is at no origin of its own. */
function originOf(url: string): string {
  return URL.canParse(url) ? new URL(url).origin : "";
}
