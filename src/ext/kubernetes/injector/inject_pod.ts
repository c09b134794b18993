import { type JsonObject, suggestions } from "../../../model/model.js";
import type { Container, EnvironmentVariable, Pod } from "./pod.js";
import {
  agentMount,
  agentVariables,
  fileAnnotations,
  forms,
  type InjectorOptions,
  names,
  type SidecarOptions,
  sidecar,
  sidecarUser,
  volumes,
} from "./sidecar.js";

const domain = "nexusd.dev";
export const injectLabel = `${domain}/inject`;
/** What a pod may say, and the two that the injector leaves behind. */
export const annotations = {
  form: `${domain}/form`,
  user: `${domain}/user`,
  provider: `${domain}/provider`,
  containers: `${domain}/containers`,
  settings: `${domain}/settings`,
  volume: `${domain}/volume`,
  egressSecret: `${domain}/egress-secret`,
  injected: `${domain}/injected`,
  injector: `${domain}/injector`,
} as const;

/** One operation of a JSON Patch (RFC 6902). */
export interface PatchOperation {
  readonly op: "add";
  readonly path: string;
  readonly value: unknown;
}

export type PodInjection =
  | { readonly denied: string }
  | { readonly patch: readonly PatchOperation[]; readonly warnings: readonly string[] };

/**
 * What a pod lacks to have nexusd beside its containers. A pod that has it all gets an empty patch, so that it may be requested again
 * after another webhook has added a container. A pod that another injector has changed is left as it is: a sidecar with the hubs of one
 * release and the CA of another reaches neither.
 */
export function injectPod(pod: Pod, options: InjectorOptions): PodInjection {
  const other = otherInjector(pod, options);
  if (other !== undefined)
    return {
      patch: [],
      warnings: [
        `${other} has put nexusd into this pod, and ${options.injector} left it alone: give each release namespaces of its own (injector.namespaceSelector)`,
      ],
    };
  const read = readAnnotations(pod, options);
  if (typeof read === "string") return { denied: read };
  const { form, policy, targets } = read;
  const { containers, initContainers = [], volumes: own = [] } = pod.spec;
  const warnings: string[] = [];
  const served = (container: Container): Container =>
    targets(container.name)
      ? withNexusd(container, agentVariables(read), agentMount(form), warnings)
      : container;
  // The first: those that follow it, and end before the agent starts, may call it.
  const isBeside = form === "egress" || initContainers.some(({ name }) => name === names.container);
  const first = isBeside ? [] : [sidecar(read, options)];
  const known = new Set(own.map(({ name }) => name));
  const marks = {
    [annotations.injected]: form,
    [annotations.injector]: options.injector,
    ...(form !== "egress" && { [fileAnnotations.policy]: policy }),
    ...(form === "spoke" && options.upstreamCa !== undefined && { [fileAnnotations.ca]: options.upstreamCa }),
  };
  if (pod.spec.shareProcessNamespace === true)
    warnings.push(
      "shareProcessNamespace lets every container of this pod that runs as the same user or as root read the memory of nexusd",
    );
  const reading = containers.find(({ volumeMounts = [] }) =>
    volumeMounts.some(({ name }) => name === read.volume),
  );
  if (reading)
    warnings.push(
      `the container ${reading.name} mounts ${read.volume}, the store of nexusd: it can read every credential`,
    );
  const patch = [
    changed("/metadata/annotations", pod.metadata.annotations ?? {}, {
      ...pod.metadata.annotations,
      ...marks,
    }),
    changed("/spec/volumes", own, [...own, ...volumes(read, options).filter(({ name }) => !known.has(name))]),
    changed("/spec/initContainers", initContainers, [...first, ...initContainers.map(served)]),
    changed("/spec/containers", containers, containers.map(served)),
  ].flat();
  return { patch, warnings };
}

/** Who has put nexusd into this pod before. The mark alone is not believed: it may stand in a template that somebody copied. */
function otherInjector({ metadata, spec }: Pod, { injector }: InjectorOptions): string | undefined {
  const by = metadata.annotations?.[annotations.injector];
  if (by === undefined || by === injector) return undefined;
  const isThere =
    spec.initContainers?.some(({ name }) => name === names.container) ||
    spec.volumes?.some(({ name }) => name === names.trust);
  return isThere ? by : undefined;
}

interface PodOptions extends SidecarOptions {
  /** The policy file of the sidecar. */
  readonly policy: string;
  readonly targets: (container: string) => boolean;
}

/** @returns a sentence that says why the pod is refused */
function readAnnotations({ metadata, spec }: Pod, { upstream }: InjectorOptions): PodOptions | string {
  const { annotations: given = {} } = metadata;
  const list = (name: string): string[] | undefined =>
    given[name]
      ?.split(",")
      .map((item) => item.trim())
      .filter((item) => item !== "");
  const slip = slipOf(metadata);
  if (slip !== undefined) return slip;
  const form = forms.find((known) => known === (given[annotations.form] ?? "spoke"));
  if (form === undefined) return `${annotations.form} must be one of ${forms.join(", ")}`;
  if (spec.hostNetwork === true)
    return "nexusd is not injected into a pod with hostNetwork: every program of the node would reach its listeners. Remove hostNetwork, or the label nexusd.dev/inject";
  if (form === "spoke" && upstream === undefined)
    return `the injector knows no hubs for ${annotations.form}: ${form}. Start it with --upstream, or ask for sidecar`;
  const all = new Set([...spec.containers, ...(spec.initContainers ?? [])].map(({ name }) => name));
  if (all.has(names.container) && given[annotations.injected] === undefined)
    return "this pod has a container named nexusd already: rename it, or remove the label nexusd.dev/inject";
  const wanted = list(annotations.containers);
  const unknown = wanted?.find((name) => !all.has(name));
  if (unknown !== undefined)
    return `${annotations.containers} names ${unknown}, which is no container of this pod`;
  const volume = given[annotations.volume];
  if (volume !== undefined && !spec.volumes?.some(({ name }) => name === volume))
    return `${annotations.volume} names ${volume}, which is no volume of this pod`;
  const sharer = form === "egress" ? undefined : sharerOf(spec);
  if (sharer !== undefined)
    return `${sharer} runs as the user ${sidecarUser}, as nexusd does: at its socket, it would be the owner of nexusd, and its admin. Choose another runAsUser`;
  const agents = new Set(wanted ?? spec.containers.map(({ name }) => name));
  const providers = list(annotations.provider);
  const binding = {
    principals: ["uid:*"],
    role: "agent",
    user_ids: list(annotations.user) ?? ["*"],
    ...(providers && { providers }),
  };
  return {
    form,
    policy: JSON.stringify({ bindings: [binding] }),
    targets: (name) => name !== names.container && agents.has(name),
    settings: given[annotations.settings],
    volume,
    secret: given[annotations.egressSecret] ?? "nexusd-egress",
  };
}

/** What of nexusd's is misspelt, misplaced or empty: taken for left out, it would give the pod more than was meant. */
function slipOf({ annotations: given = {}, labels = {} }: Pod["metadata"]): string | undefined {
  const { injected, injector, ...askable } = annotations;
  const settable = Object.values(askable);
  const known: string[] = [...settable, injected, injector, ...Object.values(fileAnnotations)];
  for (const [name, value] of Object.entries(given)) {
    if (!name.startsWith(`${domain}/`)) continue;
    if (!known.includes(name)) return unknown(name, settable);
    if (value.replaceAll(",", "").trim() === "") return `${name} is empty: give it a value, or remove it`;
  }
  const misplaced = settable.find((name) => labels[name] !== undefined);
  return misplaced && `${misplaced} is an annotation, and stands among the labels of this pod: move it`;
}

function unknown(name: string, settable: readonly string[]): string {
  const words = settable.map((each) => each.slice(domain.length + 1));
  const near = suggestions(name.slice(domain.length + 1), words).map((word) => `${domain}/${word}`);
  const hint = near.length === 0 ? `these are: ${settable.join(", ")}` : `did you mean ${near.join(", ")}?`;
  return `${name} is no annotation of nexusd: ${hint}`;
}

/** What would run as the user of nexusd: the pod, or one of its containers. */
function sharerOf({ containers, initContainers = [], securityContext }: Pod["spec"]): string | undefined {
  if (securityContext?.runAsUser === sidecarUser) return "this pod";
  const found = [...containers, ...initContainers].find(
    (each) => each.name !== names.container && each.securityContext?.runAsUser === sidecarUser,
  );
  return found && `the container ${found.name}`;
}

/** What the container sets itself stays as it is. */
function withNexusd(
  container: Container,
  variables: readonly EnvironmentVariable[],
  mount: ReturnType<typeof agentMount>,
  warnings: string[],
): Container {
  const { env = [], volumeMounts = [] } = container;
  const own = new Map(env.map((each) => [each.name, each]));
  const missing = variables.filter(({ name }) => !own.has(name));
  const other = variables.filter((each) => own.has(each.name) && own.get(each.name)?.value !== each.value);
  if (other.length > 0)
    warnings.push(
      `the container ${container.name} sets ${other.map(({ name }) => name).join(", ")} itself, and may not reach nexusd`,
    );
  const isMounted = volumeMounts.some(({ mountPath }) => mountPath === mount.mountPath);
  return {
    ...container,
    env: [...env, ...missing] as Container["env"] & object,
    volumeMounts: isMounted ? volumeMounts : [...volumeMounts, mount],
  };
}

/** `add` replaces a member that is there (RFC 6902 section 4.1). */
function changed(path: string, before: unknown, value: JsonObject | unknown[]): PatchOperation[] {
  return JSON.stringify(before) === JSON.stringify(value) ? [] : [{ op: "add", path, value }];
}
