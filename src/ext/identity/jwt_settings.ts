import {
  ExtensionSettings,
  path,
  type SettingGroups,
  type SettingReader,
  text,
} from "../../config/config.js";
import { isLoopbackHost } from "../../model/providers/providers.js";
import type { IssuerKeySource } from "./issuer_keys.js";

const groups = {
  "JSON Web Tokens": {
    NEXUS_JWT_ISSUER: {
      kind: text("url"),
      meaning: "Accept JWTs of this issuer. The caller is jwt:<sub>. Needs NEXUS_JWT_AUDIENCE.",
    },
    NEXUS_JWT_AUDIENCE: { kind: text("text"), meaning: "Audience that these tokens must have." },
    NEXUS_JWT_JWKS_FILE: {
      kind: path("file"),
      meaning: "The issuer's public keys (JWKS). Reread on change.",
    },
    NEXUS_JWT_JWKS_URL: {
      kind: text("url"),
      unset: "from the issuer's discovery document",
      meaning: "https URL of the issuer's keys.",
    },
    NEXUS_JWT_CA_FILE: {
      kind: path("file"),
      unset: "the CAs of Node",
      meaning: "PEM: CAs to trust when fetching these keys.",
    },
    NEXUS_JWT_TOKEN_FILE: {
      kind: path("file"),
      meaning: "Bearer token for fetching the keys, if required; sent only to the host set above.",
    },
    NEXUS_JWT_ISSUERS_FILE: {
      kind: path("file"),
      meaning:
        "YAML with more issuers: name, audience, required claims. Callers are jwt:<name>:<subject>. With sign_in, people sign in to the console there.",
    },
  },
} as const satisfies SettingGroups;
type JwtGroups = typeof groups;

/** Undefined where no issuer is named. */
export const jwtSettings = new ExtensionSettings(groups, readIssuerSettings);

/** Whose JSON Web Tokens are taken. */
export interface JwtConfig {
  /** Letter by letter what `iss` must be. */
  readonly issuer: string;
  /** What `aud` must be or hold. */
  readonly audience: string;
  readonly keys: IssuerKeySource;
  readonly caFile: string | undefined;
  readonly tokenFile: string | undefined;
  /** Whether `http` to loopback is allowed, for development. */
  readonly allowLoopback: boolean;
}

/** The issuer that settings describe, and a file that describes more. */
export interface IssuerSettings {
  readonly lone: JwtConfig | undefined;
  readonly file: string | undefined;
  readonly allowLoopback: boolean;
}

function readIssuerSettings(reader: SettingReader): IssuerSettings | undefined {
  const lone = readLone(reader);
  const file = reader.of<JwtGroups>()("NEXUS_JWT_ISSUERS_FILE");
  if (lone === undefined && file === undefined) return undefined;
  return { lone, file, allowLoopback: allowsLoopback(reader) };
}

function readLone(reader: SettingReader): JwtConfig | undefined {
  const get = reader.of<JwtGroups>();
  const issuer = get("NEXUS_JWT_ISSUER");
  const audience = get("NEXUS_JWT_AUDIENCE");
  const keysFrom = reader.oneOf("NEXUS_JWT_JWKS_FILE", "NEXUS_JWT_JWKS_URL");
  if (issuer === undefined || audience === undefined) {
    reader.needs(
      issuer === undefined ? "NEXUS_JWT_ISSUER" : "NEXUS_JWT_AUDIENCE",
      Object.keys(groups["JSON Web Tokens"]).filter((name) => name !== "NEXUS_JWT_ISSUERS_FILE"),
    );
    return undefined;
  }
  // With keys of its own, the issuer is a name that is compared and nothing else.
  if (keysFrom === undefined) checkUrl(reader, "NEXUS_JWT_ISSUER", issuer);
  return Object.freeze({
    issuer,
    audience,
    keys: readKeys(reader, keysFrom, issuer),
    caFile: get("NEXUS_JWT_CA_FILE"),
    tokenFile: get("NEXUS_JWT_TOKEN_FILE"),
    allowLoopback: allowsLoopback(reader),
  });
}

function readKeys(
  reader: SettingReader,
  from: "NEXUS_JWT_JWKS_FILE" | "NEXUS_JWT_JWKS_URL" | undefined,
  issuer: string,
): IssuerKeySource {
  const value = from === undefined ? undefined : reader.of<JwtGroups>()(from);
  if (from === undefined || value === undefined) return { from: "discovery", issuer };
  if (from === "NEXUS_JWT_JWKS_FILE") return { from: "file", path: value };
  checkUrl(reader, from, value);
  return { from: "url", url: value };
}

function checkUrl(
  reader: SettingReader,
  name: "NEXUS_JWT_ISSUER" | "NEXUS_JWT_JWKS_URL",
  text: string,
): void {
  const violation = urlViolation(text, name === "NEXUS_JWT_JWKS_URL", allowsLoopback(reader));
  if (violation !== undefined) reader.refuse(name, violation, holdsPassword(text) ? undefined : text);
}

function allowsLoopback(reader: SettingReader): boolean {
  return reader.get("NEXUS_ALLOW_LOOPBACK_PROVIDERS") === true;
}

/** What is wrong with the URL of an issuer, or with that of its keys, which may have a query. Names no part of the URL. */
export function urlViolation(text: string, isOfKeys: boolean, allowLoopback: boolean): string | undefined {
  if (holdsPassword(text)) return "must not hold a user name or password";
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isLoopback = allowLoopback && url?.protocol === "http:" && isLoopbackHost(url.hostname);
  const isBare = url !== undefined && url.hash === "" && (isOfKeys || url.search === "");
  if (isBare && (url.protocol === "https:" || isLoopback)) return undefined;
  return "must be an https URL without fragment (http on loopback with NEXUS_ALLOW_LOOPBACK_PROVIDERS=true)";
}

function holdsPassword(text: string): boolean {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && (url.username !== "" || url.password !== "");
}
