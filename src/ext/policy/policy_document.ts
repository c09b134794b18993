import { createHash } from "node:crypto";
import {
  DocumentError,
  type DocumentViolation,
  type Path,
  readYaml,
  unknownKeys,
  type YamlDocument,
} from "../../document/document.js";
import {
  Policy,
  type PolicyBinding,
  principalPrefixes,
  type Restriction,
  type Role,
  restrictionViolations,
  roles,
} from "../../model/access/access.js";
import { isJsonObject, type JsonObject, type JsonValue } from "../../model/model.js";
import { readRules, rulesKeys } from "./rules_document.js";

/** A file beyond this is not read: it would be looked at on every change in its folder. */
const maxBytes = 1_048_576;
const maxPrincipals = 1_000;

const topKeys = ["bindings", "default", "proxies", "rules"];
const lists = {
  user_ids: "userIds",
  providers: "providers",
  connection_ids: "connectionIds",
  labels: "labels",
  methods: "methods",
  paths: "paths",
} as const;
const bindingKeys = ["principals", "role", ...Object.keys(lists)];

/**
 * Reads a policy in YAML or JSON. Each of `bindings: [...]` has `principals`, a `role`, and for an agent at least one of `user_ids`,
 * `providers` and `connection_ids`. `rules: [...]` are about requests, with `default: deny` for those that no rule names; `proxies: [...]` are
 * the principals that may describe a request.
 *
 * @throws DocumentError with every error and its place
 */
export function readPolicy(text: string): Policy {
  if (Buffer.byteLength(text) > maxBytes) {
    throw new DocumentError([{ line: 1, column: 1, message: `the file is larger than ${maxBytes} bytes` }]);
  }
  const document = readYaml(text);
  const reading = new PolicyReading(document);
  const bindings = reading.read();
  const proxies = reading.proxies();
  const { rules, violations } = readRules(document);
  if (reading.violations.length + violations.length > 0)
    throw new DocumentError([...reading.violations, ...violations]);
  return new Policy(bindings, createHash("sha256").update(text).digest("hex"), rules, proxies);
}

class PolicyReading {
  readonly violations: DocumentViolation[];
  readonly #document: YamlDocument;
  readonly #seen = new Map<string, number>();

  constructor(document: YamlDocument) {
    this.#document = document;
    this.violations = [...document.violations];
  }

  read(): PolicyBinding[] {
    const { value } = this.#document;
    const bindings = isJsonObject(value) ? value["bindings"] : undefined;
    const list = Array.isArray(bindings) ? (bindings as JsonValue[]) : undefined;
    const isOptional =
      isJsonObject(value) && rulesKeys.some((key) => Object.hasOwn(value, key)) && bindings === undefined;
    const unknown = isJsonObject(value) ? unknownKeys(this.#document, value, [], topKeys) : [];
    // A key with a typo may be this one, or make it optional.
    const isMisspelled =
      bindings === undefined && unknown.some(({ message }) => /did you mean/.test(message));
    if (!list && !isOptional && !isMisspelled) this.#violation(["bindings"], "bindings: must be a list");
    this.violations.push(...unknown);
    return (list ?? []).flatMap((json, index) => this.#binding(json, ["bindings", index]) ?? []);
  }

  /** Named whole: what a pattern stands for is not known beforehand. */
  proxies(): ReadonlySet<string> {
    const { value } = this.#document;
    if (!isJsonObject(value) || !Object.hasOwn(value, "proxies")) return new Set();
    const names = this.#texts(value["proxies"], ["proxies"], "proxies") ?? [];
    for (const [index, name] of names.entries()) {
      const violation = name.includes("*") ? "must be a whole name" : principalViolation(name);
      if (violation !== undefined) this.#violation(["proxies", index], `proxies[${index}]: ${violation}`);
    }
    return new Set(names);
  }

  #binding(json: JsonValue, path: Path): PolicyBinding | undefined {
    if (!isJsonObject(json)) {
      this.#violation(path, "a binding must be keys and values");
      return undefined;
    }
    this.violations.push(...unknownKeys(this.#document, json, path, bindingKeys));
    const principals = this.#principals(json, path);
    const role = this.#role(json, path);
    const restriction = this.#restriction(json, path);
    const { line } = this.#document.placeOf(path);
    if (role !== undefined && role !== "agent") {
      if (restriction) this.#violation(path, `role: only an agent is restricted, not the role ${role}`);
      return principals && { principals, role, restriction: undefined, line };
    }
    this.#judgeRestriction(restriction ?? {}, path, role);
    return role && principals && { principals, role, restriction, line };
  }

  #judgeRestriction(restriction: Restriction, path: Path, role: Role | undefined): void {
    for (const { field, description } of restrictionViolations(restriction)) {
      const [, name = "", index] = /^(\w+)\[(\d+)\]$/.exec(field) ?? [];
      if (field === "") {
        if (role === "agent") this.#violation(path, description);
      } else if (index === undefined) this.#violation([...path, field], `${field}: ${description}`);
      else this.#violation([...path, name, Number(index)], `${field}: ${description}`);
    }
  }

  #principals(json: JsonObject, path: Path): string[] | undefined {
    if (!Object.hasOwn(json, "principals")) {
      this.#violation(path, "principals: is required");
      return undefined;
    }
    const names = this.#texts(json["principals"], [...path, "principals"], "principals");
    if (names && names.length > maxPrincipals) {
      this.#violation([...path, "principals"], `principals: holds at most ${maxPrincipals} entries`);
    }
    for (const [index, name] of (names ?? []).entries()) {
      const at = [...path, "principals", index];
      const violation = principalViolation(name);
      const firstLine = this.#seen.get(name);
      if (violation !== undefined) this.#violation(at, `principals[${index}]: ${violation}`);
      else if (firstLine !== undefined) {
        this.#violation(
          at,
          `principals[${index}]: stands in line ${firstLine} already, and the first counts`,
        );
      } else this.#seen.set(name, this.#document.placeOf(at).line);
    }
    return names;
  }

  #role(json: JsonObject, path: Path): Role | undefined {
    const role = roles.find((known) => known === json["role"]);
    if (role === undefined) {
      const at = Object.hasOwn(json, "role") ? [...path, "role"] : path;
      this.#violation(at, `role: must be one of ${roles.join(", ")}`);
    }
    return role;
  }

  #restriction(json: JsonObject, path: Path): Restriction | undefined {
    const given = Object.entries(lists).flatMap(([key, field]): [string, string[]][] => {
      if (!Object.hasOwn(json, key)) return [];
      return [[field, this.#texts(json[key], [...path, key], key) ?? []]];
    });
    return given.length === 0 ? undefined : Object.fromEntries(given);
  }

  /** An empty list would be read as "none" by one and as "any" by another. */
  #texts(value: JsonValue | undefined, path: Path, key: string): string[] | undefined {
    if (!Array.isArray(value) || value.length === 0) {
      this.#violation(path, `${key}: must be a list of at least one text`);
      return undefined;
    }
    return (value as JsonValue[]).flatMap((item, index) => {
      if (typeof item === "string") return [item];
      this.#violation([...path, index], `${key}[${index}]: must be a text: put it into quotes`);
      return [];
    });
  }

  #violation(path: Path, message: string): void {
    this.violations.push({ ...this.#document.placeOf(path), message });
  }
}

/** What is wrong with the name or pattern of a principal in a policy file. */
export function principalViolation(text: string): string | undefined {
  if (text === "owner" || text === "admin") return "is always admin, and cannot be bound";
  if (!principalPrefixes.some((prefix) => text.startsWith(prefix) && text.length > prefix.length)) {
    return `must begin with one of ${principalPrefixes.join(" ")} and go on`;
  }
  if (text.length > 512) return "has at most 512 characters";
  const star = text.indexOf("*");
  if (star >= 0 && star < text.length - 1) return "may hold a * at its end alone";
  return /\p{Cc}/u.test(text) ? "must not hold control characters" : undefined;
}
