import type { ProviderChange } from "../../domain/profiles/profiles.js";
import type { Provider } from "../../gen/nexus/v1/provider_pb.js";
import { registrationKinds } from "../../model/credentials/client_registration.js";
import type { Strategy } from "../../model/credentials/strategy.js";
import { strategyOfConfig } from "../../model/credentials/strategy_config.js";
import { InvalidArgument } from "../../model/errors.js";
import { defaultStrategyOf, keyHeaderConfig } from "../../model/providers/contract_strategy.js";
import {
  authTypes,
  profileFields,
  profileMessage,
  profileSettings,
  settingOf,
} from "../../model/providers/profile_fields.js";
import {
  canonicalName,
  type AuthType as ModelAuthType,
  type ProviderProfile,
  type ProviderSettings,
} from "../../model/providers/provider_profile.js";
import { strategyOf } from "../../model/providers/strategy_message.js";
import { Secret } from "../../runtime/secret.js";
import { timestampOf } from "./timestamps.js";

export function providerMessage(profile: ProviderProfile): Provider {
  const message = profileMessage(profile);
  message.id = profile.id;
  message.clientSecretSet = profile.clientSecret !== undefined;
  message.etag = etagOf(profile);
  const { registration } = profile;
  if (registration) message.clientRegistration = registrationKinds.indexOf(registration.kind) + 1;
  const createdAt = timestampOf(profile.createdAtMs);
  const updatedAt = timestampOf(profile.updatedAtMs);
  if (createdAt) message.createdAt = createdAt;
  if (updatedAt) message.updatedAt = updatedAt;
  return message;
}

function etagOf(profile: ProviderProfile): string {
  return `v${profile.version}`;
}

/** @throws InvalidArgument when it is not an etag that this server wrote */
export function versionOfEtag(etag: string): bigint | undefined {
  if (etag === "") return undefined;
  if (!/^v[1-9][0-9]{0,17}$/.test(etag)) {
    throw new InvalidArgument([{ field: "etag", description: "must be the etag of an answer" }]);
  }
  return BigInt(etag.slice(1));
}

/** Settings of a profile that is to be created; the template is for the daemon to say. */
export function settingsOf(message: Provider): ProviderSettings {
  const settings = profileSettings(message);
  return {
    ...settings,
    name: canonicalName(message.name),
    strategy: strategyFor(settings.authType, message),
    template: "",
  };
}

/** The strategy of the message, or the default one of the type. */
function strategyFor(authType: ModelAuthType, { strategy }: Provider): Strategy {
  if (authType === "api_key" && strategy?.kind.case === "header") {
    const { headerName, credentialField, valuePrefix } = strategy.kind.value;
    const prefix = valuePrefix === undefined ? {} : { value_prefix: valuePrefix };
    const config = { header_name: headerName, credential_field: credentialField, ...prefix };
    return strategyOfConfig("header", keyHeaderConfig(config)) as Strategy;
  }
  return strategyOf(strategy) ?? defaultStrategyOf(authType);
}

export function clientSecretOf(message: Provider): Secret | undefined {
  return message.clientSecret === "" ? undefined : new Secret(message.clientSecret);
}

/** They never change. */
const fixed = ["auth_type", "grant_type", "template"];
/** Settings that a field mask can name. */
const maskable = profileFields.filter(({ name }) => !fixed.includes(name));

/** Several times what a field mask can name: some name a field twice. */
const maxMaskPaths = 100;

/** Every path that a field mask can name. */
export const changeablePaths: readonly string[] = ["client_secret", ...maskable.map(({ name }) => name)];

/**
 * What `paths` name of `message`.
 *
 * @param authType of the profile, which cannot be changed
 * @throws InvalidArgument naming each path that cannot be changed
 */
export function changeOf(
  message: Provider,
  paths: readonly string[],
  authType: ModelAuthType,
): ProviderChange {
  if (paths.length > maxMaskPaths) {
    const description = `must name at most ${maxMaskPaths} fields, not ${paths.length}`;
    throw new InvalidArgument([{ field: "update_mask", description }]);
  }
  const unknown = [...paths.entries()].filter(([, path]) => !changeablePaths.includes(path));
  if (paths.length === 0) {
    throw new InvalidArgument([{ field: "update_mask", description: "must name at least one field" }]);
  }
  if (unknown.length > 0) {
    const names = changeablePaths.join(", ");
    throw new InvalidArgument(
      unknown.map(([index, path]) => ({
        field: `update_mask.paths[${index}]`,
        description: `${JSON.stringify(path.slice(0, 64))} cannot be changed; these can: ${names}`,
      })),
    );
  }
  const all = settingsOf({ ...message, authType: authTypes.indexOf(authType) + 1 });
  const named = maskable.filter(({ name }) => paths.includes(name));
  const settings = Object.fromEntries(named.map((field) => [field.key, settingOf(all, field)]));
  return paths.includes("client_secret")
    ? { settings, clientSecret: clientSecretOf(message) ?? null }
    : { settings };
}
