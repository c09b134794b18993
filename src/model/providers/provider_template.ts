import type { ProviderSettings } from "./provider_profile.js";

/** What is known about a provider, without a client of its own. */
export interface ProviderTemplate {
  readonly name: string;
  readonly displayName: string;
  /** URLs, and scopes that are URLs, may hold `{variable}`. */
  readonly settings: ProviderSettings;
  readonly variables: readonly TemplateVariable[];
  readonly docsUrl: string;
  /** What a person should know before using it, a sentence or two each. */
  readonly notes: readonly string[];
  /** What a scope allows, in the words of its person, by the scope. */
  readonly scopeWords: Readonly<Record<string, string>>;
  /** Where tools look for the credential of the API: many do not start without one. */
  readonly toolVariables: readonly string[];
  /** How keys of the API look, the most common first: `ghp_{36}` has 36 characters by chance. */
  readonly keyForms: readonly string[];
}

/** A part of a template's URLs that differs from customer to customer. */
export interface TemplateVariable {
  readonly name: string;
  readonly description: string;
  /** RE2, matched against the whole value. */
  readonly pattern: string;
  /** Taken when none is given; empty when there is none. */
  readonly defaultValue: string;
  readonly example: string;
}
