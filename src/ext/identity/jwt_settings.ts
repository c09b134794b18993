import {
  ExtensionSettings,
  path,
  type SettingGroups,
  type SettingReader,
  text,
} from "../../config/config.js";
import { isLoopbackHost } from "../../model/providers/providers.js";

const groups = {
  "JSON Web Tokens": {
    NEXUS_JWT_ISSUER: {
      kind: text("url"),
      meaning:
        "Accept JSON Web Tokens from this issuer, such as those that Kubernetes projects into pods. The caller is then jwt:<sub>. Needs NEXUS_JWT_AUDIENCE.",
    },
    NEXUS_JWT_AUDIENCE: { kind: text("text"), meaning: "The audience that these tokens must have." },
    NEXUS_JWT_JWKS_FILE: {
      kind: path("file"),
      meaning: "A JSON Web Key Set with the issuer's public keys. Read again when it changes.",
    },
    NEXUS_JWT_JWKS_URL: {
      kind: text("url"),
      unset: "from the issuer's discovery document",
      meaning: "The https URL of the issuer's keys. Not together with NEXUS_JWT_JWKS_FILE.",
    },
    NEXUS_JWT_CA_FILE: {
      kind: path("file"),
      unset: "the CAs of Node",
      meaning: "PEM: the CAs to trust when fetching the keys, such as the CA of a cluster.",
    },
    NEXUS_JWT_TOKEN_FILE: {
      kind: path("file"),
      meaning:
        "A bearer token for fetching the keys, if the issuer requires one. nexusd sends it only to the host of the settings above.",
    },
  },
} as const satisfies SettingGroups;
type JwtGroups = typeof groups;

/** Undefined where no issuer is named. */
export const jwtSettings = new ExtensionSettings(groups, readJwtConfig);

/** Whose JSON Web Tokens are taken; `issuer` is letter by letter what `iss` must be. */
export type JwtConfig = NonNullable<ReturnType<typeof readJwtConfig>>;
type Keys =
  | { readonly from: "file"; readonly path: string }
  | { readonly from: "url"; readonly url: string }
  | { readonly from: "discovery"; readonly issuer: string };

function readJwtConfig(reader: SettingReader) {
  const get = reader.of<JwtGroups>();
  const issuer = get("NEXUS_JWT_ISSUER");
  const audience = get("NEXUS_JWT_AUDIENCE");
  const keysFrom = reader.oneOf("NEXUS_JWT_JWKS_FILE", "NEXUS_JWT_JWKS_URL");
  if (issuer === undefined || audience === undefined) {
    reader.needs(
      issuer === undefined ? "NEXUS_JWT_ISSUER" : "NEXUS_JWT_AUDIENCE",
      Object.keys(groups["JSON Web Tokens"]),
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
    allowLoopback: reader.get("NEXUS_ALLOW_LOOPBACK_PROVIDERS") === true,
  });
}

function readKeys(
  reader: SettingReader,
  from: "NEXUS_JWT_JWKS_FILE" | "NEXUS_JWT_JWKS_URL" | undefined,
  issuer: string,
): Keys {
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
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url !== undefined && (url.username !== "" || url.password !== "")) {
    reader.refuse(name, "must not hold a user name or password");
    return;
  }
  const allowLoopback = reader.get("NEXUS_ALLOW_LOOPBACK_PROVIDERS") === true;
  const isLoopback = allowLoopback && url?.protocol === "http:" && isLoopbackHost(url.hostname);
  const isBare = url !== undefined && url.hash === "" && (name === "NEXUS_JWT_JWKS_URL" || url.search === "");
  if (isBare && (url.protocol === "https:" || isLoopback)) return;
  const limit =
    "must be an https URL without fragment (http on loopback with NEXUS_ALLOW_LOOPBACK_PROVIDERS=true)";
  reader.refuse(name, limit, text);
}
