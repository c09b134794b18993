import type { Core } from "../../../core/core.js";
import { DocumentError } from "../../../document/document.js";
import { daemon } from "../../../model/access/access.js";
import type { Connection } from "../../../model/connections/connections.js";
import { isJsonObject, type JsonObject, type JsonValue, NexusError } from "../../../model/model.js";
import type { KubernetesApi } from "../api/kubernetes_api.js";
import type { SecretObject } from "../api/objects.js";
import type { ProviderObject, ReadyVerdict } from "./custom_objects.js";
import type { ObjectStatus } from "./object_status.js";

export interface ProviderReconcilerDeps {
  readonly core: Core;
  readonly api: KubernetesApi;
  readonly status: ObjectStatus;
  readonly find: (key: string) => ProviderObject | undefined;
}

/** Secrets are not watched, so that the daemon needs no right to list them. */
const secretCheckMs = 60_000;
const revocationCheckMs = 2_000;
/** Each waits for the provider, 2 s at most. */
const revokedAtOnce = 50;
const variable = "CLIENT_SECRET";

/** Keeps profiles as Provider objects say, by the plan of the manifest: each object is a manifest of one profile. */
export class ProviderReconciler {
  constructor(private readonly deps: ProviderReconcilerDeps) {}

  async reconcile(key: string): Promise<number | undefined> {
    const { find, status } = this.deps;
    const object = find(key);
    if (!object) return undefined;
    if (object.metadata.deletionTimestamp !== undefined) return await this.#end(object);
    await status.hold(object);
    await status.report(object, await this.#applied(object));
    return object.spec.clientSecretRef ? secretCheckMs : undefined;
  }

  async #applied({ metadata: { name }, spec }: ProviderObject): Promise<ReadyVerdict> {
    const { core } = this.deps;
    if (!core.keepProfiles) return refused("Unsupported", "this build of nexusd reads no manifests");
    const secret = await this.#clientSecret(spec.clientSecretRef);
    if (typeof secret === "object") return secret;
    try {
      const profile = { name, ...profileOf(spec), ...(secret && { client_secret: `\${${variable}}` }) };
      await core.keepProfiles(core, { providers: [profile] }, secret ? { [variable]: secret } : {});
      return { ready: true, reason: "Applied", message: "the profile is as this object says" };
    } catch (error) {
      if (error instanceof DocumentError)
        return refused("Invalid", error.violations.map(({ message }) => message).join("; "));
      if (error instanceof NexusError && error.kind !== "unavailable")
        return refused("Refused", error.message);
      throw error;
    }
  }

  async #clientSecret(
    ref: ProviderObject["spec"]["clientSecretRef"],
  ): Promise<string | undefined | ReadyVerdict> {
    if (!ref) return undefined;
    const { api } = this.deps;
    const place = { apiVersion: "v1", resource: "secrets", namespace: api.namespace, name: ref.name };
    const text = (await api.find<SecretObject>(place))?.data?.[ref.key];
    if (text !== undefined) return Buffer.from(text, "base64").toString("utf8").trim();
    return refused("SecretMissing", `there is no key ${ref.key} in a Secret ${ref.name} of ${api.namespace}`);
  }

  async #end(object: ProviderObject): Promise<number | undefined> {
    const { core, status } = this.deps;
    const { registry } = core.profiles;
    const all = registry.list({ limit: Number.POSITIVE_INFINITY, authType: undefined });
    const profile = all.find(({ name }) => name === object.metadata.name);
    if (!profile) {
      await status.release(object);
      return undefined;
    }
    // The provider is asked as the client of the profile: it must not go before that.
    const connections = core.store.listConnections({
      providerId: profile.id,
      limit: Number.POSITIVE_INFINITY,
    });
    if (object.spec.deletionPolicy === "Revoke") {
      const living = connections.filter(({ status: state }) => state !== "revoked");
      const waiting = connections.filter(({ providerRevocation }) => providerRevocation === "pending");
      const ending = living
        .slice(0, revokedAtOnce)
        .map(({ id }) => core.provisioning.connections.revoke(id, daemon));
      await Promise.all(ending);
      if (living.length + waiting.length > 0) {
        const message = `${living.length} connections to end, and ${waiting.length} grants that the provider has not revoked yet; deletionPolicy: Retain waits for none`;
        await status.report(object, refused("Revoking", message));
        return living.length > 0 ? 0 : revocationCheckMs;
      }
    }
    await registry.delete(profile.id, daemon);
    await status.release(object, deleted(connections));
    return undefined;
  }
}

function deleted(connections: readonly Connection[]): ReadyVerdict {
  const count = (of: Connection["providerRevocation"]): number =>
    connections.filter(({ providerRevocation }) => providerRevocation === of).length;
  const kept = connections.filter(({ status }) => status !== "revoked").length;
  const message = `the profile is deleted; ${count("done")} grants were revoked at the provider, ${count("not_possible")} could not be, and ${kept} connections keep their token until it expires`;
  return { ready: false, reason: "Deleted", message };
}

function refused(reason: string, message: string): ReadyVerdict {
  return { ready: false, reason, message };
}

/** The contract's keys. A dollar sign in a manifest begins a variable: here it is one. */
function profileOf({
  clientSecretRef: _,
  clientSecret: __,
  deletionPolicy: ___,
  ...spec
}: ProviderObject["spec"]): JsonObject {
  const contract = snakeCased(spec);
  const { oauth2_options: options } = contract;
  return literal(
    isJsonObject(options) ? { ...contract, oauth2_options: snakeCased(options) } : contract,
  ) as JsonObject;
}

function snakeCased(json: JsonObject): JsonObject {
  return Object.fromEntries(
    Object.entries(json).map(([key, value]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      value,
    ]),
  );
}

function literal(value: JsonValue): JsonValue {
  if (typeof value === "string") return value.replaceAll("$", "$$$$");
  if (Array.isArray(value)) return value.map(literal);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, literal(inner)]));
}
