import type { JsonObject } from "../../../model/model.js";
import type { KubernetesObject } from "../api/objects.js";

export interface EnvironmentVariable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: JsonObject;
}

/** `core/v1 SecurityContext` and `PodSecurityContext`: the former goes before the latter. */
interface SecurityContext extends JsonObject {
  readonly runAsUser?: number;
}

export interface Container extends JsonObject {
  readonly name: string;
  readonly env?: (JsonObject & EnvironmentVariable)[];
  readonly securityContext?: SecurityContext;
  readonly volumeMounts?: (JsonObject & { readonly name: string; readonly mountPath: string })[];
}

/** `core/v1 Pod`, as far as the injector reads it; the rest passes as it is. */
export interface Pod extends KubernetesObject {
  readonly spec: JsonObject & {
    readonly containers: Container[];
    readonly initContainers?: Container[];
    readonly volumes?: (JsonObject & { readonly name: string })[];
    readonly securityContext?: SecurityContext;
    readonly hostNetwork?: boolean;
    readonly shareProcessNamespace?: boolean;
  };
}
