import type { Asker, NamedProvider } from "../../domain/consent/consent_types.js";
import type { ProviderTemplate } from "../../model/providers/provider_template.js";
import { Monogram, render } from "../views/view.js";
import { Html, html } from "./html.js";

/** A provider in words for a person. */
export interface ProviderWords {
  /** `GitHub`, or `GitHub (acme-org)` for a profile of another name; the name alone for a profile without a template. */
  readonly displayName: string;
  /** Where the provider explains how an application gets access; undefined when nobody knows. */
  readonly docsUrl: string | undefined;
}

export type DescribeProvider = (provider: NamedProvider) => ProviderWords;

/** @param find a template by its name */
export function describeBy(
  find: (name: string) => Pick<ProviderTemplate, "displayName" | "docsUrl"> | undefined,
): DescribeProvider {
  return ({ providerName, template = "" }) => {
    const known = template === "" ? undefined : find(template);
    if (!known) return { displayName: providerName, docsUrl: undefined };
    const { displayName, docsUrl } = known;
    return {
      displayName: providerName === template ? displayName : `${displayName} (${providerName})`,
      docsUrl: isWebUrl(docsUrl) ? docsUrl : undefined,
    };
  };
}

/** What stands for a provider above its name. */
export function tileOf(displayName: string): Html {
  return new Html(render(Monogram({ name: displayName, big: true })));
}

/** A catalogue of one's own may hold any text. */
function isWebUrl(text: string): boolean {
  return URL.canParse(text) && ["https:", "http:"].includes(new URL(text).protocol);
}

/** Longer names of principals are cut: a `sub` of a JWT may have any length. */
const maxNameLength = 80;

/** Who asks, as the subject of a sentence: `The application <b>research</b>`. */
export function askerSubject({ requestedBy = "" }: Asker): Html {
  const name = applicationName(requestedBy);
  if (name === undefined) return html`An application`;
  return html`The application <b><bdi>${name}</bdi></b>`;
}

/** For whom something is kept, as the end of a sentence. */
export function askerObject({ requestedBy = "" }: Asker): Html {
  const name = applicationName(requestedBy);
  if (name === undefined) return html`the application that sent you here`;
  return html`the application <b><bdi>${name}</bdi></b>, which asked for it`;
}

/** Where the person goes afterwards, as a sentence with a space before it; undefined when it is a page of ours. */
export function returnSentence({ returnUrl }: Asker): Html | undefined {
  const host = returnUrl === undefined ? undefined : hostOf(returnUrl);
  return host === undefined ? undefined : html` You go back to <b><bdi>${host}</bdi></b> afterwards.`;
}

/** Names of principals begin with how they prove who they are; the owner, the admin and users of the machine run the daemon. */
function applicationName(principal: string): string | undefined {
  const name = /^(?:key|cert|jwt):(.+)$/s.exec(principal)?.[1];
  if (name === undefined || name.length <= maxNameLength) return name;
  return `${name.slice(0, maxNameLength)}\u2026`;
}

/** Of an application that is no web page, the scheme. */
function hostOf(returnUrl: string): string | undefined {
  if (!URL.canParse(returnUrl)) return undefined;
  const { host, protocol } = new URL(returnUrl);
  return host === "" ? protocol.replace(/:$/, "") : host;
}
