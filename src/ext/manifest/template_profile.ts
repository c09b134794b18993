import {
  type FieldViolation,
  InvalidArgument,
  isJsonObject,
  isTextMap,
  type JsonObject,
  NotFound,
} from "../../model/model.js";
import {
  changeOfContract,
  contractOfProfile,
  optionsConfig,
  type ProfileDraft,
  type ProviderSettings,
  profileOfContract,
  strategyParams,
  withoutStrategy,
} from "../../model/providers/providers.js";

/** The catalogue, as far as a manifest needs it. */
export interface ManifestTemplates {
  /** @throws NotFound, InvalidArgument */
  instantiate(name: string, variables: Readonly<Record<string, string>>): ProviderSettings;
}

/** Keys of a profile that is made from a template. */
export const templateKeys: readonly string[] = ["template", "template_variables"];

/** Reads a profile; a template's fields stand where it says nothing. */
export function draftOf(json: JsonObject, templates: ManifestTemplates | undefined): ProfileDraft {
  const { template, template_variables: variables, ...own } = json;
  if (template === undefined && variables === undefined) return profileOfContract(own);
  const refused = (violations: readonly FieldViolation[]): ProfileDraft => {
    const draft = profileOfContract(own);
    return { ...draft, violations: [...draft.violations, ...violations] };
  };
  if (typeof template !== "string" || template === "") {
    return refused([{ field: "template", description: "must be the name of a template" }]);
  }
  if (variables !== undefined && !isTextMap(variables)) {
    return refused([{ field: "template_variables", description: "must be names and texts" }]);
  }
  if (!templates) return refused([{ field: "template", description: "no catalogue is at hand here" }]);
  try {
    const base = templates.instantiate(template.trim().toLowerCase(), variables ?? {});
    return changeOfContract(base, overTemplate(base, own));
  } catch (error) {
    if (error instanceof NotFound)
      return refused([{ field: "template", description: "is not in the catalogue" }]);
    if (error instanceof InvalidArgument) return refused(error.violations);
    throw error;
  }
}

/**
 * As `CreateProvider` has it: parameters and options add to the template's, everything else takes its place, and endpoints and
 * discovery exclude each other.
 */
function overTemplate(base: ProviderSettings, own: JsonObject): JsonObject {
  const merged = { ...own };
  const { authorization_params: typed, oauth2_options: options, params } = own;
  if (isJsonObject(typed)) merged["authorization_params"] = { ...base.authorizationParams, ...typed };
  if (isJsonObject(options)) merged["oauth2_options"] = { ...optionsConfig(base.oauth2), ...options };
  if (isJsonObject(params)) {
    const spellings = [...strategyParams, "auth_header", "strategy"];
    const isRespelled = [...Object.keys(own), ...Object.keys(params)].some((name) =>
      spellings.includes(name),
    );
    const { params: given } = contractOfProfile(base);
    const inherited = isJsonObject(given) ? given : {};
    merged["params"] = { ...(isRespelled ? withoutStrategy(inherited) : inherited), ...params };
  }
  const isSet = (name: string): boolean => typeof own[name] === "string" && own[name] !== "";
  if (base.enableDiscovery && (isSet("auth_url") || isSet("token_url"))) {
    return { enable_discovery: false, ...merged };
  }
  if (!base.enableDiscovery && own["enable_discovery"] === true) {
    return { auth_url: "", token_url: "", jwks_url: "", ...merged };
  }
  return merged;
}
