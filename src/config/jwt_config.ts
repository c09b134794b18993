import { resolve } from "node:path";
import { isLoopbackHost } from "../model/providers/provider_profile.js";
import type { SettingReader } from "./setting_reader.js";

/** Whose JSON Web Tokens are taken. */
export interface JwtConfig {
  /** Letter by letter what `iss` must be. */
  readonly issuer: string;
  readonly audience: string;
  readonly keys:
    | { readonly from: "file"; readonly path: string }
    | { readonly from: "url"; readonly url: string }
    | { readonly from: "discovery"; readonly issuer: string };
  /** Absolute, as the next one. */
  readonly caFile: string | undefined;
  readonly tokenFile: string | undefined;
  readonly allowLoopback: boolean;
}

type JwtSetting =
  | "NEXUS_JWT_ISSUER"
  | "NEXUS_JWT_AUDIENCE"
  | "NEXUS_JWT_JWKS_FILE"
  | "NEXUS_JWT_JWKS_URL"
  | "NEXUS_JWT_CA_FILE"
  | "NEXUS_JWT_TOKEN_FILE";

/** Undefined when no issuer is configured. Errors are noted in `reader`. */
export function readJwtConfig(reader: SettingReader): JwtConfig | undefined {
  const issuer = reader.read("NEXUS_JWT_ISSUER");
  const audience = reader.read("NEXUS_JWT_AUDIENCE");
  const keys = reader.readOneOf("NEXUS_JWT_JWKS_FILE", "NEXUS_JWT_JWKS_URL");
  const caFile = reader.read("NEXUS_JWT_CA_FILE");
  const tokenFile = reader.read("NEXUS_JWT_TOKEN_FILE");
  const allowLoopback = reader.read("NEXUS_ALLOW_LOOPBACK_PROVIDERS")?.toLowerCase() === "true";
  if (issuer === undefined || audience === undefined) {
    const given: [JwtSetting, unknown][] = [
      ["NEXUS_JWT_ISSUER", issuer],
      ["NEXUS_JWT_AUDIENCE", audience],
      [keys?.name ?? "NEXUS_JWT_JWKS_URL", keys],
      ["NEXUS_JWT_CA_FILE", caFile],
      ["NEXUS_JWT_TOKEN_FILE", tokenFile],
    ];
    const needy = given.find(([, value]) => value !== undefined)?.[0];
    const missing = issuer === undefined ? "NEXUS_JWT_ISSUER" : "NEXUS_JWT_AUDIENCE";
    if (needy !== undefined) reader.violationOfSecret(missing, `is needed beside ${reader.spell(needy)}`);
    return undefined;
  }
  // With keys of its own, the issuer is a name that is compared and nothing else.
  if (keys === undefined) checkUrl(reader, "NEXUS_JWT_ISSUER", issuer, allowLoopback);
  if (keys?.name === "NEXUS_JWT_JWKS_URL") checkUrl(reader, keys.name, keys.value, allowLoopback);
  return Object.freeze({
    issuer,
    audience,
    keys:
      keys === undefined
        ? ({ from: "discovery", issuer } as const)
        : keys.name === "NEXUS_JWT_JWKS_URL"
          ? ({ from: "url", url: keys.value } as const)
          : ({ from: "file", path: resolve(keys.value) } as const),
    caFile: caFile === undefined ? undefined : resolve(caFile),
    tokenFile: tokenFile === undefined ? undefined : resolve(tokenFile),
    allowLoopback,
  });
}

function checkUrl(reader: SettingReader, name: JwtSetting, text: string, allowLoopback: boolean): void {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && (url.username !== "" || url.password !== "")) {
    reader.violationOfSecret(name, "must not hold a user name or password");
    return;
  }
  const isLoopback = allowLoopback && url?.protocol === "http:" && isLoopbackHost(url.hostname);
  const isBare = url !== undefined && url.hash === "" && (name === "NEXUS_JWT_JWKS_URL" || url.search === "");
  if (isBare && (url.protocol === "https:" || isLoopback)) return;
  const limit =
    "must be an https URL without fragment (http on loopback with NEXUS_ALLOW_LOOPBACK_PROVIDERS=true)";
  reader.violation(name, text, limit);
}
