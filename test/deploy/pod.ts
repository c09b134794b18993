import { type ChildProcess, spawn } from "node:child_process";
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
import { type ImageConfig, nodeBinds, readImage, systemBinds } from "./image.js";
import {
  type Container,
  type KubernetesObject,
  only,
  type PodSpec,
  type Probe,
  podOf,
  type Volume,
  type Workload,
} from "./manifests.js";

/** Where a kubelet would find the pod: not on the loopback that its containers share among themselves. */
export const podAddress = "127.0.0.2";

/** What a cluster gives a pod beside its manifest. */
export interface PodPlace {
  readonly kind?: Workload;
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

  readonly #hosts: string;

  constructor(
    private readonly objects: readonly KubernetesObject[],
    private readonly place: PodPlace = {},
  ) {
    this.spec = podOf(objects, place.kind);
    const folder = mkdtempSync(join(tmpdir(), "nexus-pod-"));
    this.#hosts = join(folder, "..hosts");
    writeFileSync(this.#hosts, place.hosts ?? "127.0.0.1 localhost\n");
    for (const volume of this.spec.volumes) {
      const path = join(folder, volume.name);
      mkdirSync(path);
      this.#volumes.set(volume.name, path);
      const content = contentOf(volume, objects, place.token);
      if (content) project(path, content, this.#modeOf(volume), this.spec.securityContext.fsGroup);
      // Root's, and the group's by the bit that passes the group on.
      chownSync(path, 0, this.spec.securityContext.fsGroup);
      chmodSync(path, 0o2777);
    }
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

  /** What the kubelet does to a volume of files when a pod mounts it again and its root is not as it should be. */
  mountAgain(name: string): void {
    const walk = (path: string): void => {
      const stat = lstatSync(path);
      if (stat.isSymbolicLink()) return;
      chownSync(path, stat.uid, this.spec.securityContext.fsGroup);
      chmodSync(path, (stat.mode & 0o7777) | 0o660 | (stat.isDirectory() ? 0o2110 : 0));
      if (stat.isDirectory()) for (const entry of readdirSync(path)) walk(join(path, entry));
    };
    walk(this.#pathOf(name));
  }

  /** A changed ConfigMap arrives. */
  update(name: string, files: Readonly<Record<string, string>>): void {
    const path = this.#pathOf(name);
    const volume = this.spec.volumes.find((one) => one.name === name) as Volume;
    project(path, files, this.#modeOf(volume), this.spec.securityContext.fsGroup);
  }

  /**
   * Starts a container as its spec says, over what the image says: user, groups, environment, mounts, a root that cannot be written,
   * no capability and no way to one, its process the first of its own process namespace.
   *
   * @param args in place of its own: what `kubectl exec` would run, or the agent's program
   */
  start(
    container: Container,
    more: { args?: readonly string[]; env?: Record<string, string> } = {},
  ): Running {
    const { config, root } = this.#image;
    const { runAsUser, runAsGroup } = container.securityContext;
    const groups = `${runAsGroup},${this.spec.securityContext.fsGroup}`;
    const who = ["setpriv", `--reuid=${runAsUser}`, `--regid=${runAsGroup}`, `--groups=${groups}`];
    const bare = ["--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"];
    const env = { ...this.#environment(container, config), ...more.env };
    const process = [
      ...(container.command ?? config.entrypoint),
      ...(more.args ?? container.args ?? config.cmd),
    ];
    return new Running([
      ...[
        "--die-with-parent",
        "--unshare-pid",
        "--unshare-ipc",
        "--unshare-uts",
        "--as-pid-1",
        "--info-fd",
        "3",
      ],
      ...["/etc", "/etc/nexus", "/run", "/nodejs", "/nodejs/bin"].flatMap((path) => [
        ...["--perms", "0755", "--dir", path],
      ]),
      ...["--ro-bind", this.#hosts, "/etc/hosts"],
      ...["--proc", "/proc", "--dev", "/dev", ...systemBinds(), ...nodeBinds()],
      ...readdirSync(root).flatMap((name) => ["--ro-bind", join(root, name), `/${name}`]),
      ...container.volumeMounts.flatMap(({ name, mountPath, readOnly }) => [
        readOnly === true || this.#isProjected(name) ? "--ro-bind" : "--bind",
        ...[this.#pathOf(name), mountPath],
      ]),
      ...["--remount-ro", "/", "--clearenv", "--chdir", "/app"],
      ...Object.entries(env).flatMap(([name, value]) => ["--setenv", name, value]),
      ...["--", ...who, ...bare, ...process],
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
        ? dataOf(only(this.objects, "ConfigMap", configMapRef.name))
        : dataOf(only(this.objects, "Secret", secretRef?.name)),
    );
    // A runtime sets HOME to "/" for a user whom the image's passwd does not know.
    const all: Record<string, string> = Object.assign({ PATH: "/usr/bin", HOME: "/" }, image.env, ...from);
    const fields: Readonly<Record<string, string | undefined>> = {
      "metadata.name": this.place.name,
      "metadata.namespace": this.place.namespace,
    };
    for (const { name, value = "", valueFrom } of container.env ?? []) {
      const field = valueFrom && fields[valueFrom.fieldRef.fieldPath];
      if (valueFrom && field === undefined) throw new Error(`${name} is of an unknown field`);
      // A variable that stands before it; others stay as they are.
      all[name] = field ?? value.replace(/\$\((\w+)\)/g, (given, other: string) => all[other] ?? given);
    }
    return all;
  }

  #pathOf(name: string): string {
    const path = this.#volumes.get(name);
    if (path === undefined) throw new Error(`the pod has no volume ${name}`);
    return path;
  }

  #isProjected(name: string): boolean {
    const volume = this.spec.volumes.find((one) => one.name === name);
    return (volume?.secret ?? volume?.configMap ?? volume?.projected) !== undefined;
  }

  #modeOf({ secret, configMap, projected }: Volume): number {
    return (secret ?? configMap ?? projected)?.defaultMode ?? 0o644;
  }
}

/** A container that runs. */
export class Running {
  readonly #child: ChildProcess;
  readonly #pid: Promise<number>;
  readonly exited: Promise<number | string>;
  output = "";

  constructor(args: readonly string[]) {
    this.#child = spawn("bwrap", args, { stdio: ["ignore", "pipe", "pipe", "pipe"] });
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

  async kill(signal: NodeJS.Signals = "SIGKILL"): Promise<number | string> {
    if (this.#child.exitCode === null) await this.signal(signal);
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
  token: PodPlace["token"],
): Readonly<Record<string, string>> | undefined {
  if (secret) {
    const data = dataOf(only(objects, "Secret", secret.secretName));
    return secret.items
      ? Object.fromEntries(secret.items.map(({ key, path }) => [path, data[key] ?? ""]))
      : data;
  }
  if (projected) {
    const files = projected.sources.map(({ serviceAccountToken, configMap: map }) =>
      serviceAccountToken
        ? { [serviceAccountToken.path]: token?.(serviceAccountToken.audience) ?? "" }
        : dataOf(only(objects, "ConfigMap", map?.name)),
    );
    return Object.assign({}, ...files);
  }
  return configMap && dataOf(only(objects, "ConfigMap", configMap.name));
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
