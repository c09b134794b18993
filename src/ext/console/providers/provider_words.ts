import { AuthType, type Provider } from "../../../gen/nexus/v1/provider_pb.js";
import type { FailingProvider } from "../../../gen/nexus/v1/status_pb.js";
import { isConsented, isUnattended } from "../../../model/providers/grant_type.js";
import { profileSettings } from "../../../model/providers/profile_fields.js";
import type { ConsoleVisit } from "../frame/console_visit.js";

/** How a connection of it comes to be. */
export function kindWords(provider: Provider): string {
  const settings = profileSettings(provider);
  if (isConsented(settings)) return "A person consents";
  return isUnattended(settings) ? "No person is needed" : "A person enters a key";
}

export function isOAuth2({ authType }: Pick<Provider, "authType">): boolean {
  return authType === AuthType.OAUTH2 || authType === AuthType.UNSPECIFIED;
}

/** A state in a word, and the class of its colour. */
export interface Health {
  readonly text: string;
  readonly tone: "good" | "warn" | "bad";
}

/** @param failing undefined for one that is not among those at which refreshing fails */
export function healthOf(failing: FailingProvider | undefined): Health {
  if (!failing) return { text: "No trouble known", tone: "good" };
  return failing.suspended ? { text: "Suspended", tone: "bad" } : { text: "Refreshes fail", tone: "warn" };
}

/** What a person does about it, by the word of the reason. */
export const healthAdvice: Readonly<Record<string, string>> = {
  misconfigured:
    "It refuses the client, or stands where the daemon must not call: compare client id, secret and addresses with its console.",
  transient: "It did not process the requests. The daemon tries again by itself.",
  ambiguous: "Requests were sent, and no answer came. The daemon tries again by itself, with care.",
  rejected:
    "Its answers fail the checks of the protocol: compare issuer and endpoints with its documentation.",
};

/** For people: the name of its template with its own. */
export function nameOf(visit: ConsoleVisit, { name, template }: Provider): string {
  return visit.describe({ providerName: name, template }).displayName;
}
