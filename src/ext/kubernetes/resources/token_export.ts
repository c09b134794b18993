import type { Token } from "../../../gen/nexus/v1/token_pb.js";
import type { JsonValue } from "../../../model/model.js";
import type { KubernetesApi } from "../api/kubernetes_api.js";
import type { KubernetesObject } from "../api/objects.js";
import { apiVersion, type ConnectionObject, type ReadyVerdict } from "./custom_objects.js";

export interface TokenExportDeps {
  readonly api: KubernetesApi;
  /** Where the operator allows it. */
  readonly namespaces: readonly string[];
}

interface OwnedObject extends KubernetesObject {
  readonly metadata: KubernetesObject["metadata"] & {
    readonly ownerReferences?: readonly { readonly uid: string }[];
  };
}

/** What became of `exportTo`; without a verdict it is not asked for. */
interface Exported {
  readonly verdict: ReadyVerdict | undefined;
  readonly fields: { readonly exportedTo?: JsonValue };
}

/** Writes access tokens into Secrets, for Connections that ask for it. */
export class TokenExport {
  constructor(private readonly deps: TokenExportDeps) {}

  isWanted({ metadata: { namespace = "" }, spec }: ConnectionObject): boolean {
    return spec.exportTo !== undefined && this.deps.namespaces.includes(namespace);
  }

  /** Writes the token where it is wanted, and removes the Secret where it was before. */
  async keep(object: ConnectionObject, token: Token | undefined): Promise<Exported> {
    const { exportTo } = object.spec;
    if (exportedBefore(object) !== exportTo?.secretName || !this.isWanted(object)) await this.remove(object);
    if (!exportTo) return { verdict: undefined, fields: {} };
    if (!this.isWanted(object)) return refused("NotAllowed", notAllowed);
    if (!token) return refused("NoToken", "there is no token to write");
    const owner = await this.#ownerOf(object, exportTo.secretName);
    if (owner === "another")
      return refused(
        "SecretExists",
        `the Secret ${exportTo.secretName} is not this object's: name another one`,
      );
    await this.#write(object, exportTo, token);
    const verdict = {
      ready: true,
      reason: "Written",
      message: `the Secret ${exportTo.secretName} has the token`,
    };
    return { verdict, fields: { exportedTo: exportTo.secretName } };
  }

  /** Deletes the Secret that this object has written. */
  async remove(object: ConnectionObject): Promise<void> {
    const name = exportedBefore(object);
    if (name === undefined || (await this.#ownerOf(object, name)) !== "this") return;
    await this.deps.api.delete(this.#placeOf(object, name));
  }

  async #write(
    { metadata: { name, namespace, uid = "" } }: ConnectionObject,
    { secretName, key }: { readonly secretName: string; readonly key: string },
    { credentials }: Token,
  ): Promise<void> {
    const text = credentials["access_token"] ?? JSON.stringify(credentials);
    const owner = { apiVersion, kind: "Connection", name, uid, controller: true };
    const place = { apiVersion: "v1", resource: "secrets", namespace, name: secretName };
    await this.deps.api.apply(place, {
      ...{ apiVersion: "v1", kind: "Secret", type: "Opaque" },
      metadata: {
        name: secretName,
        labels: { "app.kubernetes.io/managed-by": "nexusd" },
        ownerReferences: [owner],
      },
      data: { [key]: Buffer.from(text).toString("base64") },
    });
  }

  async #ownerOf(object: ConnectionObject, name: string): Promise<"this" | "another" | "nobody"> {
    const secret = await this.deps.api.find<OwnedObject>(this.#placeOf(object, name));
    if (!secret) return "nobody";
    const { ownerReferences = [] } = secret.metadata;
    return ownerReferences.some(({ uid }) => uid === object.metadata.uid) ? "this" : "another";
  }

  #placeOf({ metadata: { namespace } }: ConnectionObject, name: string) {
    return { apiVersion: "v1", resource: "secrets", namespace, name };
  }
}

const notAllowed =
  "the operator allows no exportTo in this namespace (NEXUS_KUBERNETES_EXPORT_NAMESPACES): have agents ask nexusd for the token";

function exportedBefore({ status }: ConnectionObject): string | undefined {
  const name = status?.["exportedTo"];
  return typeof name === "string" ? name : undefined;
}

function refused(reason: string, message: string): Exported {
  return { verdict: { ready: false, reason, message }, fields: {} };
}
