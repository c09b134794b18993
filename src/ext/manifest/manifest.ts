import { pathToString } from "@bufbuild/protobuf/reflect";
import { createValidator } from "@bufbuild/protovalidate";
import {
  DocumentError,
  type DocumentViolation,
  meantKeys,
  type Path,
  readYaml,
  unknownKeys,
  type YamlDocument,
} from "../../document/document.js";
import { ProviderSchema } from "../../gen/nexus/v1/provider_pb.js";
import { type FieldViolation, isJsonObject, type JsonObject, type JsonValue } from "../../model/model.js";
import {
  contractKeys,
  type ProviderSettings,
  profileMessage,
  providerViolations,
} from "../../model/providers/providers.js";
import type { Secret } from "../../runtime/runtime.js";
import { draftOf, type ManifestTemplates, templateKeys } from "./template_profile.js";
import { expandVariables, type Variables } from "./variables.js";

/** A profile as the manifest wants it. */
export interface ManifestProfile {
  readonly settings: ProviderSettings;
  readonly clientSecret: Secret | undefined;
  /** An error of this profile, for what only a look at the daemon shows. */
  violation(field: string, description: string): DocumentViolation;
}

export interface Manifest {
  readonly profiles: readonly ManifestProfile[];
  /** `prune: true`: what the daemon reads by itself may delete profiles. */
  readonly prune: boolean;
  /** Secret values: never printed, wherever they turn up. */
  readonly secrets: ReadonlySet<string>;
}

export interface ManifestOptions {
  readonly variables: Variables;
  /** Undefined where no catalogue is at hand: `template` is then an error. */
  readonly templates?: ManifestTemplates | undefined;
}

const topKeys: readonly string[] = ["providers", "prune"];
/** Keys of a profile in a manifest. */
export const profileKeys: readonly string[] = [...contractKeys, ...templateKeys];

/**
 * Reads a manifest: `providers: [...]`, each a profile with the contract's keys. A field that is left out has its default.
 *
 * @throws DocumentError with every error and its place
 */
export function readManifest(text: string, options: ManifestOptions): Manifest {
  const document = readYaml(text, (value) => expandVariables(value, options.variables));
  const violations: DocumentViolation[] = [...document.violations];
  const { value } = document;
  if (!isJsonObject(value) || !Array.isArray(value["providers"])) {
    const at = isJsonObject(value) ? document.placeOf(["providers"]) : document.placeOf([]);
    throw new DocumentError([...violations, { ...at, message: "providers: must be a list of profiles" }]);
  }
  violations.push(...unknownKeys(document, value, [], topKeys));
  const { prune = false, providers } = value;
  if (typeof prune !== "boolean") {
    violations.push({ ...document.placeOf(["prune"]), message: "prune: must be true or false" });
  }
  const profiles = (providers as JsonValue[]).flatMap((json, index) => {
    const profile = readProfile(document, json, ["providers", index], options, violations);
    return profile ? [profile] : [];
  });
  refuseDuplicates(profiles, violations);
  if (violations.length > 0) throw new DocumentError(violations);
  const secrets = new Set(document.secrets);
  for (const { clientSecret } of profiles) if (clientSecret) secrets.add(clientSecret.reveal());
  return { profiles, prune: prune === true, secrets };
}

function readProfile(
  document: YamlDocument,
  json: JsonValue,
  path: Path,
  options: ManifestOptions,
  violations: DocumentViolation[],
): ManifestProfile | undefined {
  if (!isJsonObject(json)) {
    violations.push({ ...document.placeOf(path), message: "a profile must be keys and values" });
    return undefined;
  }
  violations.push(...unknownKeys(document, json, path, profileKeys));
  const at = (violation: FieldViolation): DocumentViolation => {
    const field = violation.field.replace(/^provider\./, "");
    const place = document.placeOf([...path, ...stepsOf(placedAt(field, json))]);
    return { ...place, message: `${field}: ${violation.description}` };
  };
  const meant = new Set(
    [...meantKeys(json, profileKeys).values()].flat().filter((key) => !Object.hasOwn(json, key)),
  );
  const isMeant = (field: string): boolean => meant.has(String(stepsOf(field.replace(/^provider\./, ""))[0]));
  const draft = draftOf(json, options.templates);
  const { settings, clientSecret } = draft;
  const secret = clientSecret ?? undefined;
  const known = draft.violations.map(({ field }) => field);
  // Each error once: a value that could not be read, or stands under a mistyped key, is not missing as well.
  const isDecided = !decidingKeys.some((key) => known.includes(key) || meant.has(key));
  const isReadable = document.violations.length === 0 && isDecided;
  const judged = [
    ...limitViolations(settings, secret?.reveal() ?? ""),
    ...providerViolations(settings, secret !== undefined),
  ].filter(({ field }) => isReadable && !known.includes(field.replace(/^provider\./, "")));
  violations.push(...[...draft.violations, ...judged].filter(({ field }) => !isMeant(field)).map(at));
  return { settings, clientSecret: secret, violation: (field, description) => at({ field, description }) };
}

/** Keys without which nobody knows what else a profile must have. */
const decidingKeys: readonly string[] = [
  "auth_type",
  "grant_type",
  "enable_discovery",
  "token_endpoint_auth_method",
  "auth_header",
  "template",
];

function refuseDuplicates(profiles: readonly ManifestProfile[], violations: DocumentViolation[]): void {
  const seen = new Map<string, ManifestProfile>();
  for (const profile of profiles) {
    const { name } = profile.settings;
    const first = seen.get(name);
    if (first && name !== "") {
      const { line } = first.violation("name", "");
      violations.push(profile.violation("name", `${name} stands in line ${line} already`));
    } else seen.set(name, profile);
  }
}

/** A typed field may have been given by one of the contract's keys. */
function placedAt(field: string, json: JsonObject): string {
  const [first = ""] = stepsOf(field);
  if (Object.hasOwn(json, first)) return field;
  switch (first) {
    case "strategy":
      return Object.hasOwn(json, "auth_strategy") ? "auth_strategy" : "params";
    case "authorization_params":
      return field.replace("authorization_params", "params");
    case "credential_schema":
    case "oauth2_options":
      return "params";
    case "token_endpoint_auth_method":
      return "auth_header";
    default:
      return field;
  }
}

/** `params["a"]`, `scopes[0]` and `strategy.header.header_name` as steps. */
function stepsOf(field: string): (string | number)[] {
  return [...field.matchAll(/\["([^"]*)"\]|\[(\d+)\]|([^.[\]]+)/g)].map(([, quoted, index, name]) =>
    index === undefined ? (quoted ?? name ?? "") : Number(index),
  );
}

/** What the daemon's API would refuse before it looks at the meaning of a profile: the rules of `nexus.v1.Provider`. */
function limitViolations(settings: ProviderSettings, clientSecret: string): FieldViolation[] {
  const message = profileMessage(settings);
  message.clientSecret = clientSecret;
  const result = createValidator().validate(ProviderSchema, message);
  if (result.kind === "error") throw result.error;
  return (result.violations ?? []).map((violation) => ({
    field: pathToString(violation.field),
    description: violation.message.replace(
      /^must be greater than or equal to (\S+) and less than or equal to (\S+)$/,
      "must be $1 to $2",
    ),
  }));
}
