import { CommandFailure, type Shell } from "../../../cli/kit.js";
import { exitCodes } from "../../../core/registry.js";
import { counted } from "../../../model/model.js";
import { KubernetesApi, KubernetesError } from "../api/kubernetes_api.js";
import { apiVersion, type CustomObject, finalizer } from "./custom_objects.js";

/** A daemon that still ends may hold an object once more. */
const maxRounds = 5;

export interface ReleaseFlags {
  /** Whose Connections are let go. */
  readonly namespaces: readonly string[];
  /** The folder of the service account, if it is not that of the pod. */
  readonly credentials?: string;
}

/**
 * Takes the finalizers of nexusd off all custom resources, after the release that held them is gone: nothing else would, and their deletion
 * would hang. The objects stay, and so do the grants: a new installation takes both over.
 *
 * @throws CommandFailure, so that the Job tries again
 */
export async function releaseResources(shell: Shell, flags: ReleaseFlags): Promise<void> {
  const api = inCluster(shell, flags.credentials);
  const places = [
    ...[...new Set([...flags.namespaces, api.namespace])].map((namespace) => ({
      ...{ apiVersion, resource: "connections", namespace },
    })),
    ...["providers", "accessgrants"].map((resource) => ({ apiVersion, resource, namespace: api.namespace })),
  ];
  try {
    let released = 0;
    for (let round = 0; round < maxRounds; round++) {
      const before = released;
      for (const place of places) released += await releaseThose(api, place);
      if (released === before) break;
    }
    shell.stdout.write(`${counted(released, "custom resource")} released\n`);
  } catch (error) {
    if (!(error instanceof KubernetesError)) throw error;
    throw new CommandFailure(
      exitCodes.failed,
      `the custom resources are not all released (${error.reason}: ${error.message}); docs/kubernetes.md says how to do it by hand`,
      error,
    );
  } finally {
    api.close();
  }
}

/** @returns of how many */
async function releaseThose(
  api: KubernetesApi,
  place: { readonly apiVersion: string; readonly resource: string; readonly namespace: string },
): Promise<number> {
  const { items } = await unlessGone(() => api.list<CustomObject>(place), { items: [], resourceVersion: "" });
  const held = items.filter(({ metadata }) => metadata.finalizers?.includes(finalizer));
  for (const { metadata } of held) {
    const { name, resourceVersion = "", finalizers = [] } = metadata;
    const change = { resourceVersion, finalizers: finalizers.filter((each) => each !== finalizer) };
    await unlessGone(() => api.patch({ ...place, name }, { metadata: change }), undefined);
  }
  return held.length;
}

/** The definitions may be gone, or the object by now. Who was written meanwhile comes up in the next round. */
async function unlessGone<T>(work: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof KubernetesError && [404, 409].includes(error.status)) return otherwise;
    throw error;
  }
}

function inCluster({ env, clock }: Shell, credentials: string | undefined): KubernetesApi {
  try {
    return KubernetesApi.inCluster(env, clock, credentials);
  } catch (error) {
    throw new CommandFailure(exitCodes.failed, (error as Error).message, error);
  }
}
