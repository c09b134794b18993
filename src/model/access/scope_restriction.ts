import type { FieldViolation } from "../errors.js";
import { isId } from "../ids.js";

/** What an agent is restricted to: a connection must fit each list that is present. */
export interface Restriction {
  /** User ids; `acme:*` is every one that begins so, `*` is any. */
  readonly userIds?: readonly string[];
  /** Names or ids of provider profiles, a UUID being an id; `*` is any. */
  readonly providers?: readonly string[];
  readonly connectionIds?: readonly string[];
  /** Labels of connections, as user ids; an empty one is that of a connection without a label. */
  readonly labels?: readonly string[];
  /** Of requests to APIs. Who is restricted so gets no token, and sends requests through a proxy. */
  readonly methods?: readonly string[];
  /** Of requests; `/repos/acme/*` is every one that begins so. */
  readonly paths?: readonly string[];
}

/** The lists as messages and records have them. */
export type RestrictionLists = Restriction &
  Required<Pick<Restriction, "userIds" | "providers" | "connectionIds">>;

/** An empty list is left out. */
export function restrictionFrom(lists: RestrictionLists): Restriction {
  const { userIds, providers, connectionIds, labels = [], methods = [], paths = [] } = lists;
  return {
    ...(userIds.length > 0 && { userIds }),
    ...(providers.length > 0 && { providers }),
    ...(connectionIds.length > 0 && { connectionIds }),
    ...(labels.length > 0 && { labels }),
    ...(methods.length > 0 && { methods }),
    ...(paths.length > 0 && { paths }),
  };
}

/** A provider as a restriction sees it. */
export interface ProviderFacts {
  readonly id: string;
  readonly name: string;
}

/** A connection as a restriction sees it. */
export interface ConnectionFacts {
  readonly connectionId: string;
  readonly userId: string;
  readonly provider: ProviderFacts;
  /** Undefined is not judged: that of a connection which is gone. */
  readonly label?: string | undefined;
}

/** What an action is about. */
export type Resource =
  | ({ readonly kind: "connection" } & ConnectionFacts)
  /** A connection that is yet to be made. Undefined is not judged. */
  | {
      readonly kind: "new";
      readonly userId: string | undefined;
      readonly provider: ProviderFacts | undefined;
      readonly label?: string | undefined;
    }
  | {
      readonly kind: "provider";
      readonly provider: ProviderFacts;
      /** Whether one of these connections is of the provider. */
      holdsAny(connectionIds: Iterable<string>): boolean;
    };

/** Texts, and beginnings of texts that end with `*`. */
export class Texts {
  readonly #exact: ReadonlySet<string>;
  readonly #prefixes: readonly string[];

  constructor(texts: readonly string[]) {
    this.#exact = new Set(texts);
    this.#prefixes = texts.filter((text) => text.endsWith("*")).map((text) => text.slice(0, -1));
  }

  has(text: string): boolean {
    return this.#exact.has(text) || this.#prefixes.some((prefix) => text.startsWith(prefix));
  }
}

/** A restriction, made ready to judge many calls. */
export class CompiledRestriction {
  readonly #users: Texts | undefined;
  readonly #providers: ReadonlySet<string> | undefined;
  readonly #connections: ReadonlySet<string> | undefined;
  readonly #labels: Texts | undefined;

  constructor(readonly given: Restriction) {
    this.#users = given.userIds && new Texts(given.userIds);
    this.#providers = given.providers && new Set(given.providers);
    this.#connections = given.connectionIds && new Set(given.connectionIds);
    this.#labels = given.labels && new Texts(given.labels);
  }

  contains(resource: Resource): boolean {
    switch (resource.kind) {
      case "connection":
        return (
          (this.#connections === undefined || this.#connections.has(resource.connectionId)) &&
          this.hasUser(resource.userId) &&
          this.#hasLabel(resource.label) &&
          this.#hasProvider(resource.provider)
        );
      case "new":
        return (
          this.#connections === undefined &&
          (resource.userId === undefined || this.hasUser(resource.userId)) &&
          this.#hasLabel(resource.label) &&
          (resource.provider === undefined || this.#hasProvider(resource.provider))
        );
      case "provider":
        return (
          this.#hasProvider(resource.provider) &&
          (this.#connections === undefined || resource.holdsAny(this.#connections))
        );
    }
  }

  hasUser(userId: string): boolean {
    return this.#users === undefined || this.#users.has(userId);
  }

  #hasLabel(label: string | undefined): boolean {
    return this.#labels === undefined || label === undefined || this.#labels.has(label);
  }

  #hasProvider({ id, name }: ProviderFacts): boolean {
    const providers = this.#providers;
    if (providers === undefined || providers.has("*") || providers.has(id)) return true;
    // What is written as an id is one: of a profile that is named so it says nothing.
    return providers.has(name) && !isId(name);
  }
}

/** Entries of one list. */
export const maxRestrictionEntries = 1_000;
const maxUserIdLength = 256;

/** What is wrong with a restriction that was written by hand; `field` is `user_ids[3]`, or a list. */
export function restrictionViolations(restriction: Restriction): FieldViolation[] {
  const { userIds, providers, connectionIds, labels, methods, paths } = restriction;
  const lists = [
    ["user_ids", userIds, userViolation],
    ["providers", providers, providerViolation],
    ["connection_ids", connectionIds, connectionViolation],
    ["labels", labels, labelViolation],
    ["methods", methods, methodViolation],
    ["paths", paths, pathViolation],
  ] as const;
  if ([userIds, providers, connectionIds].every((list) => list === undefined)) {
    return [
      {
        field: "",
        description:
          'an agent is restricted to user_ids, providers or connection_ids ("*" is any user or provider)',
      },
    ];
  }
  return lists.flatMap(([field, list = [], violationOf]) => {
    if (list.length > maxRestrictionEntries) {
      return [{ field, description: `holds at most ${maxRestrictionEntries} entries` }];
    }
    return list.flatMap((text, index) => {
      const description = violationOf(text);
      return description === undefined ? [] : [{ field: `${field}[${index}]`, description }];
    });
  });
}

function userViolation(text: string): string | undefined {
  return text === "" ? "must not be empty" : labelViolation(text);
}

function labelViolation(text: string): string | undefined {
  if (text.length > maxUserIdLength) return `has at most ${maxUserIdLength} characters`;
  return starViolation(text) ?? (/\p{Cc}/u.test(text) ? "must not hold control characters" : undefined);
}

function providerViolation(text: string): string | undefined {
  if (text === "*" || /^[a-z0-9-]{1,63}$/.test(text)) return undefined;
  return "must be the name or the id of a provider, or *";
}

function connectionViolation(text: string): string | undefined {
  return isId(text) ? undefined : "must be the id of a connection, a UUID in lower case";
}

function methodViolation(text: string): string | undefined {
  return /^[A-Z-]{1,20}$/.test(text) ? undefined : "must be a method in capitals";
}

function pathViolation(text: string): string | undefined {
  if (/^\/[\x21-\x7e]{0,511}$/.test(text)) return starViolation(text);
  return "must begin with a slash and hold no blanks";
}

function starViolation(text: string): string | undefined {
  const star = text.indexOf("*");
  return star < 0 || star === text.length - 1 ? undefined : "may hold a * at its end alone";
}

/** One sentence for a person. */
export function describeRestriction(restriction: Restriction): string {
  const { userIds, providers, connectionIds, labels, methods, paths } = restriction;
  const parts = [
    userIds && `users ${userIds.join(", ")}`,
    providers && `providers ${providers.join(", ")}`,
    connectionIds && `connections ${connectionIds.join(", ")}`,
    labels && `labels ${labels.map((label) => label || '""').join(", ")}`,
    methods && `methods ${methods.join(", ")}`,
    paths && `paths ${paths.join(", ")}`,
  ];
  return parts.filter((part) => part !== undefined).join("; ");
}
