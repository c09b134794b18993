import type { JsonObject } from "../../../model/model.js";
import type { KubernetesObject } from "../api/objects.js";

export const apiVersion = "nexusd.dev/v1alpha1";
/** Holds an object until what it made at nexusd is gone. */
export const finalizer = "nexusd.dev/revoke";

/** `meta.k8s.io/v1 Condition`. */
export interface StatusCondition extends JsonObject {
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
  readonly lastTransitionTime: string;
}

export interface CustomObject extends KubernetesObject {
  readonly status?: JsonObject & { readonly conditions?: readonly StatusCondition[] };
}

export interface ProviderObject extends CustomObject {
  /** The fields of a profile, in camel case. */
  readonly spec: JsonObject & {
    readonly clientSecretRef?: { readonly name: string; readonly key: string };
    readonly deletionPolicy: "Revoke" | "Retain";
  };
}

export interface ConnectionObject extends CustomObject {
  readonly spec: {
    readonly provider: string;
    readonly serviceAccountName: string;
    readonly user?: string;
    readonly label?: string;
    readonly scopes?: readonly string[];
    readonly exportTo?: { readonly secretName: string; readonly key: string };
    readonly deletionPolicy: "Revoke" | "Retain";
  };
}

export interface AccessGrantObject extends CustomObject {
  readonly spec: {
    readonly subjects: readonly { readonly namespace: string; readonly serviceAccountName?: string }[];
    readonly users?: readonly string[];
    readonly providers?: readonly string[];
    readonly connectionIds?: readonly string[];
    readonly labels?: readonly string[];
  };
}

/** What a reconciliation came to. */
export interface ReadyVerdict {
  readonly ready: boolean;
  /** A word in upper camel case. */
  readonly reason: string;
  readonly message: string;
}
