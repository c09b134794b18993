import { create, type DescMessage, isFieldSet, type MessageShape } from "@bufbuild/protobuf";
import {
  OAuth2OptionsSchema,
  type Provider,
  ProviderSchema,
  ProviderTemplateSchema,
  type ProviderTemplate as TemplateMessage,
} from "../../gen/nexus/v1/provider_pb.js";
import { InvalidArgument } from "../../model/errors.js";
import { profileMessage } from "../../model/providers/profile_fields.js";
import { authTypes, type ProviderSettings } from "../../model/providers/provider_profile.js";
import type { ProviderTemplate } from "../../model/providers/provider_template.js";
import { settingsOf } from "./provider_message.js";

/** Where templates come from. */
export interface Templates {
  /** In the order of the names. */
  list(options: {
    readonly limit: number;
    readonly afterName?: string | undefined;
    readonly namePrefix?: string | undefined;
  }): ProviderTemplate[];
  /** @throws NotFound, InvalidArgument */
  instantiate(name: string, variables: Readonly<Record<string, string>>): ProviderSettings;
}

/** @param redirectUri of a profile with the template's name; empty for static types */
export function templateMessage(template: ProviderTemplate, redirectUri: string): TemplateMessage {
  return create(ProviderTemplateSchema, {
    name: template.name,
    displayName: template.displayName,
    provider: profileMessage(template.settings),
    variables: template.variables.map(({ name, description, pattern, defaultValue, example }) => ({
      name,
      description: `${description}, for example ${example}`,
      pattern,
      defaultValue,
    })),
    docsUrl: template.docsUrl,
    notes: [...template.notes],
    redirectUri,
  });
}

/**
 * The settings of a profile made from a template: what `given` sets takes the place of the template's, while parameters and options
 * add to them.
 *
 * @throws InvalidArgument when `given` says another type
 */
export function settingsOver(base: ProviderSettings, given: Provider): ProviderSettings {
  if (given.authType !== 0 && authTypes[given.authType - 1] !== base.authType) {
    const description = `is ${base.authType} in the template ${base.template}: leave it out`;
    throw new InvalidArgument([{ field: "provider.auth_type", description }]);
  }
  const template = profileMessage(base);
  const merged = create(ProviderSchema, {
    ...template,
    ...setFields(ProviderSchema, given),
    authorizationParams: { ...template.authorizationParams, ...given.authorizationParams },
    ...endpoints(template, given),
  });
  if (template.oauth2Options && given.oauth2Options) {
    merged.oauth2Options = create(OAuth2OptionsSchema, {
      ...template.oauth2Options,
      ...setFields(OAuth2OptionsSchema, given.oauth2Options),
    });
  }
  return { ...settingsOf(merged), template: base.template };
}

/** Endpoints by hand and discovery exclude each other: what is given decides. */
function endpoints(template: Provider, given: Provider): Partial<Provider> {
  if (given.enableDiscovery && !template.enableDiscovery) {
    return { authUrl: given.authUrl, tokenUrl: given.tokenUrl, jwksUrl: given.jwksUrl };
  }
  const byHand = given.authUrl !== "" || given.tokenUrl !== "";
  return template.enableDiscovery && byHand ? { enableDiscovery: given.enableDiscovery } : {};
}

function setFields<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>) {
  const names = schema.fields.filter((field) => isFieldSet(message, field)).map(({ localName }) => localName);
  return Object.fromEntries(Object.entries(message).filter(([name]) => names.includes(name)));
}
