import type { JsonObject } from "../../../model/model.js";
import type { Container, EnvironmentVariable } from "./pod.js";

/**
 * - `spoke` copies from the hubs what the service account of the pod may see.
 * - `sidecar` has connections of its own, in memory.
 * - `egress` runs nothing beside the agent, whose proxy is the egress listener of the hubs.
 */
export const forms = ["spoke", "sidecar", "egress"] as const;
export type SidecarForm = (typeof forms)[number];

export interface InjectorOptions {
  /** The MutatingWebhookConfiguration, whose name only one injector of a cluster has: `agents-nexusd-injector`. */
  readonly injector: string;
  readonly image: string;
  /** Of the hubs: `https://nexusd.agents.svc`. Undefined where there is none: then a pod can have a `sidecar` alone. */
  readonly upstream: string | undefined;
  /** PEM: the CA of their certificate. */
  readonly upstreamCa: string | undefined;
  /** That the hubs take tokens for. */
  readonly audience: string;
}

/** A user that images do not have: its own user is the daemon's admin, and `65532` is that of many images. */
export const sidecarUser = 64_532;
/** Of the pod, whose containers share its ports: numbers that programs do not choose. */
const opsPort = 15_090;
const browserPort = 15_080;

export const names = {
  container: "nexusd",
  data: "nexusd-data",
  socket: "nexusd-socket",
  trust: "nexusd-trust",
  place: "nexusd-place",
  settings: "nexusd-settings",
} as const;

const placeFolder = "/etc/nexus/place";
const settingsMount = { name: names.settings, mountPath: "/etc/nexus/settings", readOnly: true };
const socketMount = { name: names.socket, mountPath: "/run/nexus" };
const address = `unix:${socketMount.mountPath}/nexus.sock`;
const trustMount = { name: names.trust, mountPath: "/etc/nexus-egress" };
const bundle = `${trustMount.mountPath}/ca-bundle.pem`;

/** What a container of the agent mounts. */
export function agentMount(form: SidecarForm) {
  return { ...(form === "egress" ? trustMount : socketMount), readOnly: true };
}

/** Annotations of the pod that its files are made of, so that no object has to be made in its namespace. */
export const fileAnnotations = { policy: "nexusd.dev/policy", ca: "nexusd.dev/upstream-ca" } as const;

/** What a pod asks for with its annotations. */
export interface SidecarOptions {
  readonly form: SidecarForm;
  /** A ConfigMap and a Secret of this name: variables of the sidecar, and files for it. */
  readonly settings: string | undefined;
  /** Of the pod, for the data folder; in memory without it. */
  readonly volume: string | undefined;
  /** Of `egress`: holds `proxy`, a URL with an API key, and `ca-bundle.pem`. */
  readonly secret: string;
}

export function sidecar(sidecarOptions: SidecarOptions, options: InjectorOptions): Container {
  const { settings, volume = names.data } = sidecarOptions;
  const probe = (path: string, more: JsonObject): JsonObject => ({
    httpGet: { path, port: opsPort },
    timeoutSeconds: 3,
    ...more,
  });
  return {
    name: names.container,
    image: options.image,
    imagePullPolicy: "IfNotPresent",
    restartPolicy: "Always",
    args: ["serve"],
    ...(settings !== undefined && {
      envFrom: [
        { configMapRef: { name: settings, optional: true } },
        { secretRef: { name: settings, optional: true } },
      ],
    }),
    env: Object.entries(variables(sidecarOptions, options)).map(([name, value]) => ({ name, value })),
    // The agent starts when it has passed: the socket listens, and a spoke has its first copy.
    startupProbe: probe("/readyz", { periodSeconds: 1, failureThreshold: 120 }),
    livenessProbe: probe("/livez", { periodSeconds: 10, failureThreshold: 3 }),
    resources: {
      requests: { cpu: "20m", memory: "160Mi", "ephemeral-storage": "64Mi" },
      limits: { cpu: "1", memory: "256Mi", "ephemeral-storage": "256Mi" },
    },
    securityContext: {
      ...{ runAsNonRoot: true, runAsUser: sidecarUser, runAsGroup: sidecarUser, privileged: false },
      ...{ readOnlyRootFilesystem: true, allowPrivilegeEscalation: false },
      capabilities: { drop: ["ALL"] },
      seccompProfile: { type: "RuntimeDefault" },
    },
    volumeMounts: [
      { name: volume, mountPath: "/data" },
      socketMount,
      { name: names.place, mountPath: placeFolder, readOnly: true },
      ...(settings === undefined ? [] : [settingsMount]),
    ],
  };
}

function variables(
  { form, settings }: SidecarOptions,
  { upstream = "", upstreamCa }: InjectorOptions,
): Record<string, string> {
  // The settings have the public URL, whose proxy comes from outside of the pod.
  const isPublic = form === "sidecar" && settings !== undefined;
  return {
    NEXUS_DATA_DIR: "/data/nexusd",
    NEXUS_GRPC_LISTEN: address,
    // Containers of the pod have users and groups of their own; the folder of the socket is theirs alone.
    NEXUS_SOCKET_MODE: "0666",
    NEXUS_HTTP_LISTEN: "off",
    NEXUS_CONSOLE_LISTEN: "off",
    NEXUS_OPS_LISTEN: `0.0.0.0:${opsPort}`,
    NEXUS_INSECURE: isPublic ? "browser,ops" : "ops",
    NEXUS_POLICY_FILE: `${placeFolder}/policy.yaml`,
    NEXUS_LOG_FORMAT: "json",
    NEXUS_DRAIN_TIMEOUT_MS: "1250",
    NODE_OPTIONS: "--max-old-space-size=128",
    NEXUS_ADDRESS: address,
    ...(form === "sidecar" && {
      NEXUS_BROWSER_LISTEN: `${isPublic ? "0.0.0.0" : "127.0.0.1"}:${browserPort}`,
    }),
    ...(form === "spoke" && {
      NEXUS_UPSTREAM: upstream,
      NEXUS_UPSTREAM_TOKEN_FILE: `${placeFolder}/token`,
      ...(upstreamCa !== undefined && { NEXUS_UPSTREAM_CA_FILE: `${placeFolder}/ca.crt` }),
    }),
  };
}

/** What a container of the agent finds nexusd by. */
export function agentVariables({ form, secret }: SidecarOptions): EnvironmentVariable[] {
  if (form !== "egress") return [{ name: "NEXUS_ADDRESS", value: address }];
  const proxies = ["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"].flatMap((name) => [name, name.toLowerCase()]);
  const valueFrom = { secretKeyRef: { name: secret, key: "proxy" } };
  const direct = "localhost,127.0.0.1,::1,.svc,.cluster.local";
  const bundles = [
    ...["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO"],
    ...["AWS_CA_BUNDLE", "CARGO_HTTP_CAINFO", "DENO_CERT", "PIP_CERT", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"],
  ];
  return [
    ...proxies.map((name) => ({ name, valueFrom })),
    ...["NO_PROXY", "no_proxy"].map((name) => ({ name, value: direct })),
    { name: "NODE_USE_ENV_PROXY", value: "1" },
    ...bundles.map((name) => ({ name, value: bundle })),
  ];
}

export function volumes(
  { form, secret, settings, volume }: SidecarOptions,
  { audience, upstreamCa }: InjectorOptions,
) {
  if (form === "egress")
    return [
      {
        name: names.trust,
        secret: { secretName: secret, items: [{ key: "ca-bundle.pem", path: "ca-bundle.pem" }] },
      },
    ];
  const file = (path: string, annotation: string): JsonObject => ({
    downwardAPI: { items: [{ path, fieldRef: { fieldPath: `metadata.annotations['${annotation}']` } }] },
  });
  const isSpoke = form === "spoke";
  const sources: JsonObject[] = [
    file("policy.yaml", fileAnnotations.policy),
    ...(isSpoke && upstreamCa !== undefined ? [file("ca.crt", fileAnnotations.ca)] : []),
    ...(isSpoke ? [{ serviceAccountToken: { path: "token", audience, expirationSeconds: 3600 } }] : []),
  ];
  const given = { name: settings, optional: true };
  return [
    ...(volume === undefined
      ? [{ name: names.data, emptyDir: { medium: "Memory", sizeLimit: "64Mi" } }]
      : []),
    ...(settings === undefined
      ? []
      : [{ name: names.settings, projected: { sources: [{ configMap: given }, { secret: given }] } }]),
    { name: names.socket, emptyDir: { medium: "Memory", sizeLimit: "1Mi" } },
    // The sidecar alone mounts it: nobody else of the pod reads the token, whose mode must fit any group of the pod.
    { name: names.place, projected: { defaultMode: 0o444, sources } },
  ];
}
