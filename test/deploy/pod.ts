import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { type ImageConfig, readImage } from "./image.js";
import {
  type Container,
  type KubernetesObject,
  only,
  type PodSpec,
  type Probe,
  podOf,
  type SourceRef,
  type Volume,
  type Workload,
} from "./manifests.js";
import { setpriv } from "./setpriv.js";

/** Where a kubelet would find the pod: not on the loopback that its containers share among themselves. */
export const podAddress = "127.0.0.2";

/** Above mounts: those that bubblewrap makes by itself are root's alone. */
const sharedFolders = [...["/etc/nexus", "/run/secrets", "/run/secrets/kubernetes.io"]];

/** What a cluster gives a pod beside its manifest. */
export interface PodPlace {
  readonly kind?: Workload;
  readonly workload?: string;
  readonly name?: string;
  readonly namespace?: string;
  /** Where it is reached; several pods stand on one loopback. */
  readonly address?: string;
  /** Lines for its resolver. */
  readonly hosts?: string;
  /** Of its service account, for an audience or that of the API server. */
  readonly token?: (audience?: string) => string;
}

/** The pod of the manifests with its volumes, as a kubelet lays them out. Containers run one by one. */
export class Pod {
  readonly spec: PodSpec;
  readonly #image = readImage(process.env["NEXUS_TEST_IMAGE"] ?? "");
  readonly #volumes = new Map<string, string>();

  readonly #root: string;
  readonly #hosts: string;

  constructor(
    private readonly objects: readonly KubernetesObject[],
    private readonly place: PodPlace = {},
  ) {
    this.spec = podOf(objects, place.kind, place.workload);
    const { annotations } = only(objects, place.kind ?? "Deployment", place.workload).spec.template.metadata;
    const folder = mkdtempSync(join(tmpdir(), "nexus-pod-"));
    this.#root = join(folder, "..root");
    // Folders of its own, in which its volumes are mounted, and the files of the image.
    execFileSync("cp", ["--archive", "--link", this.#image.root, this.#root]);
    this.#hosts = join(folder, "..hosts");
    writeFileSync(this.#hosts, place.hosts ?? "127.0.0.1 localhost\n");
    for (const volume of this.spec.volumes) {
      const path = join(folder, volume.name);
      mkdirSync(path);
      this.#volumes.set(volume.name, path);
      const content = contentOf(volume, objects, { annotations, ...place });
      if (content) project(path, content, this.#modeOf(volume), this.#group);
      // Root's, and the group's by the bit that passes the group on.
      chownSync(path, 0, this.#group);
      chmodSync(path, 0o2777);
    }
  }

  /** Of its volumes. */
  get #group(): number {
    return this.spec.securityContext.fsGroup ?? 0;
  }

  get address(): string {
    return this.place.address ?? podAddress;
  }

  get nexusd(): Container {
    const containers = [...this.spec.initContainers, ...this.spec.containers];
    return containers.find(({ name }) => name === "nexusd") as Container;
  }

  get agent(): Container {
    return this.spec.containers[0] as Container;
  }

  /** Where this machine has a volume. */
  pathOf(name: string): string {
    const path = this.#volumes.get(name);
    if (path === undefined) throw new Error(`the pod has no volume ${name}`);
    return path;
  }

  /** What the kubelet does to a volume of files when a pod mounts it again and its root is not as it should be. */
  mountAgain(name: string): void {
    const walk = (path: string): void => {
      const stat = lstatSync(path);
      if (stat.isSymbolicLink()) return;
      chownSync(path, stat.uid, this.#group);
      chmodSync(path, (stat.mode & 0o7777) | 0o660 | (stat.isDirectory() ? 0o2110 : 0));
      if (stat.isDirectory()) for (const entry of readdirSync(path)) walk(join(path, entry));
    };
    walk(this.pathOf(name));
  }

  /** A changed ConfigMap arrives. */
  update(name: string, files: Readonly<Record<string, string>>): void {
    const path = this.pathOf(name);
    const volume = this.spec.volumes.find((one) => one.name === name) as Volume;
    project(path, files, this.#modeOf(volume), this.#group);
  }

  /**
   * Starts a container as its spec says, over what the image says: user, groups, environment, mounts, a root that cannot be written,
   * no capability and no way to one, its process the first of its own process namespace.
   *
   * @param args instead of its own: what `kubectl exec` would run, or the agent's program
   */
  start(
    container: Container,
    more: { args?: readonly string[]; env?: Record<string, string> } = {},
  ): Running {
    const { config } = this.#image;
    const [uid, gid] = config.user.split(":").map(Number);
    const { runAsUser = uid ?? 0, runAsGroup = gid ?? 0 } = container.securityContext;
    const { fsGroup = runAsGroup } = this.spec.securityContext;
    const groups = `${runAsGroup},${fsGroup}`;
    const user = setpriv({ uid: runAsUser, gid: runAsGroup, groups });
    const env = { ...this.#environment(container, config), ...more.env };
    const process = [
      ...(container.command ?? config.entrypoint),
      ...(more.args ?? container.args ?? config.cmd),
    ];
    return new Running([
      ...["--bind", this.#root, "/"],
      ...sharedFolders.flatMap((path) => ["--perms", "0755", "--dir", path]),
      ...["--ro-bind", this.#hosts, "/etc/hosts"],
      ...["--proc", "/proc", "--dev", "/dev", ...user.binds],
      ...(container.volumeMounts ?? []).flatMap(({ name, mountPath, readOnly }) => [
        readOnly === true || this.#isProjected(name) ? "--ro-bind" : "--bind",
        // Debian's folder of that name is a link.
        ...[this.pathOf(name), mountPath.replace(/^\/var\/run\//, "/run/")],
      ]),
      ...["--remount-ro", "/", "--clearenv", "--chdir", "/app"],
      ...Object.entries(env).flatMap(([name, value]) => ["--setenv", name, value]),
      ...["--", ...user.command, ...process],
    ]);
  }

  /** Asks as the kubelet asks, once. */
  async probe(
    container: Container,
    { httpGet: { path, port }, timeoutSeconds }: Probe,
  ): Promise<number | undefined> {
    const number = container.ports?.find(({ name }) => name === port)?.containerPort ?? port;
    const signal = AbortSignal.timeout(timeoutSeconds * 1_000);
    try {
      return (await fetch(`http://${this.address}:${number}${path}`, { signal })).status;
    } catch {
      return undefined;
    }
  }

  #environment(container: Container, image: ImageConfig): Record<string, string> {
    const from = (container.envFrom ?? []).map(({ configMapRef, secretRef }) =>
      configMapRef
        ? sourceOf(this.objects, "ConfigMap", configMapRef)
        : sourceOf(this.objects, "Secret", secretRef),
    );
    // A runtime sets HOME to "/" for a user whom the image's passwd does not know.
    const all: Record<string, string> = Object.assign({ PATH: "/usr/bin", HOME: "/" }, image.env, ...from);
    const fields: Readonly<Record<string, string | undefined>> = {
      "metadata.name": this.place.name,
      "metadata.namespace": this.place.namespace,
    };
    for (const { name, value = "", valueFrom } of container.env ?? []) {
      const field = valueFrom?.fieldRef && fields[valueFrom.fieldRef.fieldPath];
      if (valueFrom && field === undefined) throw new Error(`${name} is of an unknown field`);
      // A variable that stands before it; others stay as they are.
      all[name] = field ?? value.replace(/\$\((\w+)\)/g, (given, other: string) => all[other] ?? given);
    }
    return all;
  }

  #isProjected(name: string): boolean {
    const volume = this.spec.volumes.find((one) => one.name === name);
    return (volume?.secret ?? volume?.configMap ?? volume?.projected) !== undefined;
  }

  #modeOf({ secret, configMap, projected }: Volume): number {
    return (secret ?? configMap ?? projected)?.defaultMode ?? 0o644;
  }
}

/** A process of a container sees no other, and ends with this one. */
const isolation = [
  "--die-with-parent",
  ...["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--as-pid-1"],
  ...["--info-fd", "3"],
];

/** A container that runs. */
export class Running {
  readonly #child: ChildProcess;
  readonly #pid: Promise<number>;
  readonly exited: Promise<number | string>;
  output = "";

  /** @param args of bwrap: what it sees, and what it runs */
  constructor(args: readonly string[]) {
    this.#child = spawn("bwrap", [...isolation, ...args], { stdio: ["ignore", "pipe", "pipe", "pipe"] });
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.output += text;
      });
    this.#pid = pidOf(this.#child.stdio[3] as Readable);
    this.exited = once(this.#child, "close").then(([code, signal]) => (code ?? signal) as number | string);
  }

  /** To its first process, as a runtime sends it. */
  async signal(signal: NodeJS.Signals): Promise<void> {
    process.kill(await this.#pid, signal);
  }

  get isOver(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<number | string> {
    if (!this.isOver) await this.signal(signal);
    return await this.exited;
  }

  /** Its first process, as this machine knows it. */
  get pid(): Promise<number> {
    return this.#pid;
  }
}

async function pidOf(info: Readable): Promise<number> {
  let text = "";
  for await (const bytes of info) text += String(bytes);
  return (JSON.parse(text) as { "child-pid": number })["child-pid"];
}

function contentOf(
  { secret, configMap, projected }: Volume,
  objects: readonly KubernetesObject[],
  pod: PodPlace & { readonly annotations?: Readonly<Record<string, string>> },
): Readonly<Record<string, string>> | undefined {
  if (secret) return sourceOf(objects, "Secret", { ...secret, name: secret.secretName });
  if (!projected) return configMap && sourceOf(objects, "ConfigMap", configMap);
  const files = projected.sources.map(({ serviceAccountToken, downwardAPI, ...source }) => {
    if (serviceAccountToken)
      return { [serviceAccountToken.path]: pod.token?.(serviceAccountToken.audience) ?? "" };
    if (downwardAPI)
      return Object.fromEntries(
        downwardAPI.items.map(({ path, fieldRef: { fieldPath } }) => [path, fieldOf(pod, fieldPath)]),
      );
    if (source.secret) return sourceOf(objects, "Secret", source.secret);
    return sourceOf(objects, "ConfigMap", source.configMap);
  });
  return Object.assign({}, ...files);
}

function fieldOf(
  { namespace = "", annotations = {} }: Parameters<typeof contentOf>[2],
  path: string,
): string {
  const [, annotation] = /^metadata\.annotations\['(.+)'\]$/.exec(path) ?? [];
  const text = annotation === undefined ? namespace : annotations[annotation];
  if (text === undefined) throw new Error(`the pod has no ${path}`);
  return text;
}

/** The files of a ConfigMap or a Secret, or those of its keys that are named. */
function sourceOf(
  objects: readonly KubernetesObject[],
  kind: "ConfigMap" | "Secret",
  { name, optional = false, items }: SourceRef = { name: "" },
): Readonly<Record<string, string>> {
  const isThere = objects.some((one) => one.kind === kind && one.metadata.name === name);
  if (optional && !isThere) return {};
  const data = dataOf(only(objects, kind, name));
  return items ? Object.fromEntries(items.map(({ key, path }) => [path, data[key] ?? ""])) : data;
}

function dataOf({ kind, data = {} }: KubernetesObject): Readonly<Record<string, string>> {
  if (kind !== "Secret") return data;
  return Object.fromEntries(
    Object.entries(data).map(([name, text]) => [name, Buffer.from(text, "base64").toString("utf8")]),
  );
}

let versions = 0;

/** Files behind two links, the inner of which is replaced at once: so a kubelet writes ConfigMaps and Secrets. */
function project(path: string, files: Readonly<Record<string, string>>, mode: number, group: number): void {
  const version = `..version_${versions++}`;
  mkdirSync(join(path, version));
  chmodSync(join(path, version), 0o755);
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(path, version, name), text);
    chownSync(join(path, version, name), 0, group);
    chmodSync(join(path, version, name), mode);
  }
  symlinkSync(version, join(path, "..new"));
  renameSync(join(path, "..new"), join(path, "..data"));
  for (const name of Object.keys(files))
    if (!readdirSync(path).includes(name)) symlinkSync(join("..data", name), join(path, name));
}
