import type { Asker, NamedProvider } from "../../domain/consent/consent.js";
import type { ProviderTemplate } from "../../model/providers/provider_template.js";
import type { View } from "../views/view.js";

/** A provider in words for a person. */
export interface ProviderWords {
  /** `GitHub`, or `GitHub (acme-org)` for a profile of another name; the name alone for a profile without a template. */
  readonly displayName: string;
  /** Where the provider explains how an application gets access; undefined when nobody knows. */
  readonly docsUrl: string | undefined;
  /** What a scope allows, by its name, as far as the catalogue says it. */
  readonly scopes: Readonly<Record<string, string>>;
}

export type DescribeProvider = (provider: NamedProvider) => ProviderWords;

/** They mean the same everywhere (OpenID Connect Core 1.0, sections 5.4 and 11). */
const standardScopes = {
  openid: "Know who you are",
  profile: "See your name and your picture",
  email: "See your email address",
  phone: "See your phone number",
  address: "See your postal address",
  offline_access: "Stay connected while you are away",
};

/** @param find a template by its name */
export function describeBy(
  find: (name: string) => Pick<ProviderTemplate, "displayName" | "docsUrl" | "scopeWords"> | undefined,
): DescribeProvider {
  return ({ providerName, template = "" }) => {
    const known = template === "" ? undefined : find(template);
    if (!known) return { displayName: providerName, docsUrl: undefined, scopes: standardScopes };
    const { displayName, docsUrl, scopeWords } = known;
    return {
      displayName: providerName === template ? displayName : `${displayName} (${providerName})`,
      docsUrl: isWebUrl(docsUrl) ? docsUrl : undefined,
      scopes: { ...standardScopes, ...scopeWords },
    };
  };
}

/** A catalogue of one's own may hold any text. */
export function isWebUrl(text: string): boolean {
  return URL.canParse(text) && ["https:", "http:"].includes(new URL(text).protocol);
}

/** Longer names of principals are cut: a `sub` of a JWT may have any length. */
const maxNameLength = 80;

/** The name of the one who asks, undefined for those who run the daemon. Names of principals begin with how they prove who they are. */
export function applicationOf({ requestedBy = "" }: Omit<Asker, "returnUrl">): string | undefined {
  const name = /^(?:key|cert|jwt):(.+)$/s.exec(requestedBy)?.[1];
  if (name === undefined || name.length <= maxNameLength) return name;
  return `${name.slice(0, maxNameLength)}\u2026`;
}

/** Who asks and for whom, for a list of facts. */
export function askerFacts(asker: Omit<Asker, "returnUrl">): (readonly [term: string, value: View])[] {
  const name = applicationOf(asker);
  return [
    ["Application", name && <bdi>{name}</bdi>],
    ["For the user", asker.userId && <bdi>{asker.userId}</bdi>],
  ];
}

/** Where the person goes afterwards, as a sentence with a space before it; nothing when it is a page of ours. */
export function ReturnSentence({ returnUrl }: Asker) {
  if (returnUrl === undefined || !URL.canParse(returnUrl)) return null;
  const { host, protocol } = new URL(returnUrl);
  // Of an application that is no web page, the scheme.
  return <> You go back to <b><bdi>{host || protocol.replace(/:$/, "")}</bdi></b> afterwards.</>;
}

/** Scopes in words, as far as they are known, with what the provider calls them. */
export function ScopeList({ of, words }: { readonly of: readonly string[] } & { readonly words: ProviderWords["scopes"] }) {
  if (of.length === 0) return null;
  return (
    <ul class="scopes">
      {of.map((scope) => (
        <li>{Object.hasOwn(words, scope) && <>{words[scope]} </>}<code>{scope}</code></li>
      ))}
    </ul>
  );
}
