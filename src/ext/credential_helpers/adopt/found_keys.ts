import {
  Catalogue,
  hasKeyForm,
  keyPrefix,
  type ProviderTemplate,
  placeholderMark,
  placeholderOf,
} from "../../../catalogue/catalogue.js";

/** Where the key goes in a request, if the file says so. */
export interface KeyUse {
  readonly header?: { readonly name: string; readonly prefix: string };
  /** Origin of the API. */
  readonly origin?: string;
  /** Of a login and its password. */
  readonly username?: string;
}

/** A key in plain text. */
export interface FoundKey extends KeyUse {
  /** Where in the text it begins. */
  readonly offset: number;
  /** In which part of the file, for a reader: `server github`. */
  readonly place: string;
  /** The variable, header, or host that it is for. */
  readonly name: string;
  readonly value: string;
  /** Of the catalogue; undefined for a key that it does not know. */
  readonly template: ProviderTemplate | undefined;
  /** Why it stays; undefined for one that can be adopted. */
  readonly refusal?: string;
}

/** What a file has of keys, and how it is without them. */
export interface ReadKeys {
  readonly keys: readonly FoundKey[];
  /** @param names of their credentials, for `nexusd token`, by the key; those without one stay */
  rewritten(names: ReadonlyMap<FoundKey, string>): string;
  /** What the reader does next. @param names as above */
  nextSteps(names: ReadonlyMap<FoundKey, string>): readonly string[];
}

/** A name that is a secret's, at its end. */
const secretName = /(^|[_-])(api_?key|key|token|secret|password|passwd|pat|credentials?)$/i;
const publicName = /(public|publishable)[_-]?key$/i;
/** What another program fills in, or a person has not yet. */
const reference = /^[$<%{]|\$\{|^(your|change|example|placeholder|dummy|xxx|\*\*\*|\.\.\.)/i;
const withPassword = /^[a-z][a-z0-9+.-]*:\/\/[^\s/@:]*:[^\s/@]+@/i;
const minLength = 12;

/** Which values are keys, and of which provider. */
export class KnownKeys {
  readonly #templates: readonly ProviderTemplate[];
  readonly #forms: readonly { readonly form: string; readonly template: ProviderTemplate }[];

  constructor(catalogue: Catalogue) {
    this.#templates = catalogue.list({ limit: Number.POSITIVE_INFINITY });
    const forms = this.#templates.flatMap((template) =>
      template.keyForms.map((form) => ({ form, template })),
    );
    // Of two that fit, the longer says more.
    this.#forms = forms.sort((one, other) => keyPrefix(other.form).length - keyPrefix(one.form).length);
  }

  static async open(): Promise<KnownKeys> {
    return new KnownKeys(await Catalogue.open(undefined));
  }

  /** Whether a value is a key in plain text, by its form or by the name that it has. */
  isKey(name: string, value: string): boolean {
    if (value.includes(placeholderMark) || reference.test(value) || /\s/.test(value)) return false;
    if (this.#formOf(value) !== undefined || withPassword.test(value)) return true;
    const isNamed = this.#ofVariable(name) !== undefined || secretName.test(name);
    const isOpaque = value.length >= minLength && /\d/.test(value) && /[A-Za-z]/.test(value);
    return isNamed && isOpaque && !publicName.test(name) && !/^([a-z][a-z0-9+.-]*:\/\/|[./~])/i.test(value);
  }

  /**
   * The template for a key: the one whose tools read the variable, or whose keys look so, or whose API is at the host. Where that one takes a
   * consent, one of the same API that takes a key.
   */
  templateFor(name: string, value: string, host?: string): ProviderTemplate | undefined {
    const likely = this.#ofVariable(name) ?? this.#formOf(value)?.template;
    const api = likely ? apiHost(likely) : host;
    if (likely && takesOneKey(likely)) return likely;
    return (
      this.#templates.find(
        (template) => takesOneKey(template) && api !== undefined && apiHost(template) === api,
      ) ?? likely
    );
  }

  /** Why a value cannot be stored; undefined where it can. */
  refusalOf(value: string): string | undefined {
    return withPassword.test(value)
      ? "a URL that holds a password, which nexusd does not put together"
      : undefined;
  }

  /** What stands in the place of a key that a program reads before it starts. */
  placeholder(value: string, name: string): string {
    return placeholderOf(this.#formOf(value)?.form, name);
  }

  /** Keys that lie anywhere in a text, by their forms alone. */
  *strays(text: string): Generator<{ readonly offset: number; readonly value: string }> {
    for (const { 0: value, index: offset } of text.matchAll(/[\w.-]{20,}/g))
      if (!value.includes(placeholderMark) && this.#formOf(value)) yield { offset, value };
  }

  #formOf(value: string) {
    return this.#forms.find(({ form }) => hasKeyForm(value, form));
  }

  #ofVariable(name: string): ProviderTemplate | undefined {
    const named = this.#templates.filter(({ toolVariables }) => toolVariables.includes(name));
    return named.find(takesOneKey) ?? named[0];
  }
}

/** Whether one key is all that a profile of it needs. */
export function takesOneKey({ settings, variables }: ProviderTemplate): boolean {
  const isKey = ["api_key", "header", "query_param"].includes(settings.authType);
  return isKey && variables.every(({ defaultValue }) => defaultValue !== "");
}

/** Of the API, with the defaults of its variables; undefined for one that has none. */
export function apiUrl({ settings, variables }: ProviderTemplate): string | undefined {
  let url = settings.apiBaseUrl;
  for (const { name, defaultValue } of variables) url = url.replaceAll(`{${name}}`, defaultValue);
  return URL.canParse(url) ? url : undefined;
}

function apiHost(template: ProviderTemplate): string | undefined {
  const url = apiUrl(template);
  return url === undefined ? undefined : new URL(url).host;
}

/** Counted from 1. */
export function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}
