import {
  DocumentError,
  type Path,
  readYaml,
  unknownKeys,
  type YamlDocument,
} from "../../document/document.js";
import { isJsonObject, type JsonObject, type JsonValue, parseDurationText } from "../../model/model.js";
import { type JwtConfig, urlViolation } from "./jwt_settings.js";

const maxBytes = 65_536;
const maxIssuers = 20;
const maxClaims = 20;
const maxText = 2_048;

const keys = [
  ...["name", "issuer", "audience", "subject", "claims"],
  ...["jwks_file", "jwks_url", "ca_file", "token_file"],
  "sign_in",
];
/** Of callers' JWTs alone: at a sign-in, the issuer is called as a provider is. */
const keysOfCallers = ["jwks_file", "jwks_url", "ca_file", "token_file"];
const signInKeys = ["title", "client_secret_file", "scopes", "session"];

const maxScopes = 20;
const maxTitle = 64;
/** RFC 6749 section 3.3. */
const scopeShape = /^[\x21\x23-\x5b\x5d-\x7e]+$/;
const hourMs = 3_600_000;
const [minSessionMs, defaultSessionMs, maxSessionMs] = [300_000, 8 * hourMs, 24 * hourMs];

/** It begins the names of callers, and no name that Kubernetes gives begins so. */
const nameShape = /^(?!system$)[a-z][a-z0-9-]{0,31}$/;

/** How people sign in at an issuer, with the audience as the client ID. */
export interface SignInConfig {
  /** What people call the issuer; by default its host. 1 to 64 characters. */
  readonly title: string;
  /** Undefined for a public client. Read again for each sign-in. */
  readonly clientSecretFile: string | undefined;
  /** Requested besides `openid`. */
  readonly scopes: readonly string[];
  /** How long a session lasts: 5 minutes to 24 hours. */
  readonly sessionMs: number;
}

/** What the file says of an issuer, whose callers are `jwt:<name>:<subject>`. */
export interface NamedIssuer extends JwtConfig {
  readonly name: string;
  /** The claim that names the caller. */
  readonly subject: string;
  /** What a token must say besides: each claim is this text, or a list that holds it. */
  readonly claims: Readonly<Record<string, string>>;
  /** Present where people sign in by a browser: then its tokens prove no caller. */
  readonly signIn?: SignInConfig | undefined;
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
    for (const [index, issuer] of issuers.entries())
      for (const other of issuers.slice(0, index)) this.#compare(issuer, other, index);
    return issuers;
  }

  /** Two may share an issuer and an audience where people sign in: then their claims tell people apart. */
  #compare({ name, issuer, audience, signIn }: NamedIssuer, other: NamedIssuer, index: number): void {
    if (other.name === name) this.#refuse(["issuers", index, "name"], `name: ${name} is used twice`);
    if (other.issuer !== issuer || other.audience !== audience) return;
    if (signIn === undefined || other.signIn === undefined)
      this.#refuse(
        ["issuers", index, "audience"],
        `audience: ${other.name} has the same issuer and audience`,
      );
    else if (Object.keys(other.claims).length === 0)
      this.#refuse(
        ["issuers", index],
        `${other.name} comes first and wants no claims: nobody is left for ${name}`,
      );
    else if (JSON.stringify(signIn) !== JSON.stringify(other.signIn))
      this.#refuse(
        ["issuers", index, "sign_in"],
        `sign_in: must be that of ${other.name}, which has the same issuer and audience`,
      );
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
    const signIn = this.#signIn(json, path, issuer);
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
      signIn,
    };
  }

  #signIn(issuer: JsonObject, above: Path, url: string | undefined): SignInConfig | undefined {
    if (!Object.hasOwn(issuer, "sign_in")) return undefined;
    const json = issuer["sign_in"];
    const path = [...above, "sign_in"];
    if (!isJsonObject(json)) {
      this.#refuse(path, "sign_in: must be keys and values");
      return undefined;
    }
    this.violations.push(...unknownKeys(this.document, json, path, signInKeys));
    for (const key of keysOfCallers.filter((each) => Object.hasOwn(issuer, each)))
      this.#refuse(
        [...above, key],
        `${key}: not with sign_in, which calls the issuer as a provider: its endpoints and keys come from its discovery document`,
      );
    const host = url !== undefined && URL.canParse(url) ? new URL(url).host : "";
    const title = this.#text(json, path, "title") ?? host;
    if (title.length > maxTitle || /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(title))
      this.#refuse(
        [...path, "title"],
        `title: must have at most ${maxTitle} characters, and no control characters`,
      );
    return {
      title,
      clientSecretFile: this.#text(json, path, "client_secret_file"),
      scopes: this.#scopes(json, path),
      sessionMs: this.#sessionMs(json, path),
    };
  }

  #scopes(json: JsonObject, path: Path): readonly string[] {
    const scopes = json["scopes"] ?? [];
    const isScope = (scope: JsonValue): scope is string =>
      typeof scope === "string" && scopeShape.test(scope);
    if (Array.isArray(scopes) && scopes.length <= maxScopes && scopes.every(isScope)) return scopes;
    this.#refuse([...path, "scopes"], `scopes: must be a list of at most ${maxScopes} scopes`);
    return [];
  }

  #sessionMs(json: JsonObject, path: Path): number {
    const text = this.#text(json, path, "session");
    const sessionMs = text === undefined ? defaultSessionMs : (parseDurationText(text) ?? 0);
    if (sessionMs < minSessionMs || sessionMs > maxSessionMs)
      this.#refuse([...path, "session"], "session: must be a duration of 5m to 24h, such as 8h");
    return sessionMs;
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
