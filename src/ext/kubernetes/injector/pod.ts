import type { JsonObject } from "../../../model/json.js";
import type { KubernetesObject } from "../api/objects.js";

export interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: JsonObject;
}

export interface Container extends JsonObject {
  readonly name: string;
  readonly env?: (JsonObject & Variable)[];
  readonly volumeMounts?: (JsonObject & { readonly name: string; readonly mountPath: string })[];
}

/** `core/v1 Pod`, as far as the injector reads it; the rest passes as it is. */
export interface Pod extends KubernetesObject {
  readonly spec: JsonObject & {
    readonly containers: Container[];
    readonly initContainers?: Container[];
    readonly volumes?: (JsonObject & { readonly name: string })[];
    readonly hostNetwork?: boolean;
    readonly shareProcessNamespace?: boolean;
  };
}
