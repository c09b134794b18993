import {
  DocumentError,
  type Path,
  readYaml,
  unknownKeys,
  type YamlDocument,
} from "../../document/document.js";
import { isJsonObject, type JsonObject, type JsonValue } from "../../model/model.js";
import { type JwtConfig, urlViolation } from "./jwt_settings.js";

const maxBytes = 65_536;
const maxIssuers = 20;
const maxClaims = 20;
const maxText = 2_048;

const keys = [
  ...["name", "issuer", "audience", "subject", "claims"],
  ...["jwks_file", "jwks_url", "ca_file", "token_file"],
];

/** It begins the names of callers, and no name that Kubernetes gives begins so. */
const nameShape = /^(?!system$)[a-z][a-z0-9-]{0,31}$/;

/** What the file says of an issuer, whose callers are `jwt:<name>:<subject>`. */
export interface NamedIssuer extends JwtConfig {
  readonly name: string;
  /** The claim that names the caller. */
  readonly subject: string;
  /** What a token must say besides: each claim is this text, or a list that holds it. */
  readonly claims: Readonly<Record<string, string>>;
}

/**
 * Reads `issuers: [...]` in YAML or JSON: each has a `name`, an `issuer`, and an `audience`.
 *
 * @throws DocumentError with every error and its place
 */
export function readIssuers(text: string, allowLoopback: boolean): readonly NamedIssuer[] {
  if (Buffer.byteLength(text) > maxBytes)
    throw new DocumentError([{ line: 1, column: 1, message: `the file is larger than ${maxBytes} bytes` }]);
  const reading = new IssuersReading(readYaml(text), allowLoopback);
  const issuers = reading.read();
  if (reading.violations.length > 0) throw new DocumentError(reading.violations);
  return issuers;
}

class IssuersReading {
  readonly violations;

  constructor(
    private readonly document: YamlDocument,
    private readonly allowLoopback: boolean,
  ) {
    this.violations = [...document.violations];
  }

  read(): NamedIssuer[] {
    const { value } = this.document;
    const list = isJsonObject(value) ? value["issuers"] : undefined;
    if (isJsonObject(value)) this.violations.push(...unknownKeys(this.document, value, [], ["issuers"]));
    if (!Array.isArray(list) || list.length === 0 || list.length > maxIssuers) {
      this.#refuse(["issuers"], `issuers: must be a list of 1 to ${maxIssuers}`);
      return [];
    }
    const issuers = list.flatMap((json: JsonValue, index) => this.#issuer(json, ["issuers", index]) ?? []);
    for (const [index, { name, issuer, audience }] of issuers.entries())
      for (const other of issuers.slice(0, index)) {
        if (other.name === name) this.#refuse(["issuers", index, "name"], `name: ${name} is used twice`);
        if (other.issuer === issuer && other.audience === audience)
          this.#refuse(
            ["issuers", index, "audience"],
            `audience: ${other.name} has the same issuer and audience`,
          );
      }
    return issuers;
  }

  #issuer(json: JsonValue, path: Path): NamedIssuer | undefined {
    if (!isJsonObject(json)) {
      this.#refuse(path, "an issuer must be keys and values");
      return undefined;
    }
    this.violations.push(...unknownKeys(this.document, json, path, keys));
    const text = (key: string): string | undefined => this.#text(json, path, key);
    const [name, issuer, audience] = ["name", "issuer", "audience"].map((key) =>
      this.#required(json, path, key),
    );
    if (name !== undefined && !nameShape.test(name))
      this.#refuse(
        [...path, "name"],
        "name: must begin with a letter, and have at most 32 lower-case letters, digits, and dashes; system is reserved",
      );
    const [file, url] = [text("jwks_file"), text("jwks_url")];
    if (file !== undefined && url !== undefined)
      this.#refuse([...path, "jwks_url"], "jwks_url: jwks_file is set, too");
    this.#url(path, "jwks_url", url);
    if (file === undefined && url === undefined) this.#url(path, "issuer", issuer);
    const claims = this.#claims(json, path);
    if (name === undefined || issuer === undefined || audience === undefined) return undefined;
    return {
      ...{
        name,
        issuer,
        audience,
        claims,
        subject: text("subject") ?? "sub",
        allowLoopback: this.allowLoopback,
      },
      keys:
        file !== undefined
          ? { from: "file", path: file }
          : url !== undefined
            ? { from: "url", url }
            : { from: "discovery", issuer },
      caFile: text("ca_file"),
      tokenFile: text("token_file"),
    };
  }

  #claims(json: JsonObject, path: Path): Readonly<Record<string, string>> {
    const claims = json["claims"] ?? {};
    if (!isJsonObject(claims) || Object.keys(claims).length > maxClaims) {
      this.#refuse(
        [...path, "claims"],
        `claims: must be at most ${maxClaims} names of claims with a text each`,
      );
      return {};
    }
    return Object.fromEntries(
      Object.keys(claims).flatMap((key) => {
        const value = this.#text(claims, [...path, "claims"], key);
        return value === undefined ? [] : [[key, value]];
      }),
    );
  }

  #url(path: Path, key: "issuer" | "jwks_url", text: string | undefined): void {
    const violation =
      text === undefined ? undefined : urlViolation(text, key === "jwks_url", this.allowLoopback);
    if (violation !== undefined) this.#refuse([...path, key], `${key}: ${violation}`);
  }

  #required(json: JsonObject, path: Path, key: string): string | undefined {
    if (!Object.hasOwn(json, key)) this.#refuse(path, `${key}: is required`);
    return this.#text(json, path, key);
  }

  #text(json: JsonObject, path: Path, key: string): string | undefined {
    if (!Object.hasOwn(json, key)) return undefined;
    const value = json[key];
    if (typeof value === "string" && value !== "" && value.length <= maxText) return value;
    this.#refuse([...path, key], `${key}: must be a text of 1 to ${maxText} characters`);
    return undefined;
  }

  #refuse(path: Path, message: string): void {
    this.violations.push({ ...this.document.placeOf(path), message });
  }
}
