import { type Backoff, type Clock, delay, fullJitterMs, type Log } from "../../../runtime/runtime.js";
import { type KubernetesApi, KubernetesError } from "./kubernetes_api.js";
import type { ObjectPlace } from "./object_path.js";
import type { KubernetesObject } from "./objects.js";

export interface InformerDeps<T extends KubernetesObject> {
  readonly api: KubernetesApi;
  readonly place: ObjectPlace;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Log;
  /** Called for each object that is new, another one than before, or gone; `namespace/name` says which. */
  readonly onChange: (key: string) => void;
  readonly onSynced?: (objects: ReadonlyMap<string, T>) => void;
}

/** An API server that restarts is back within seconds; one that is away is called twice a minute. */
const backoff: Backoff = { baseMs: 500, maxMs: 30_000 };

/** A copy of all objects of a kind, kept up to date over restarts of the API server. */
export class Informer<T extends KubernetesObject> {
  readonly objects = new Map<string, T>();
  #isSynced = false;
  readonly #ended = new AbortController();
  #running: Promise<void> | undefined;

  constructor(private readonly deps: InformerDeps<T>) {}

  /** Whether all objects were listed once. */
  get isSynced(): boolean {
    return this.#isSynced;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#ended.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { clock, random, log, place } = this.deps;
    const { signal } = this.#ended;
    let failures = 0;
    while (!signal.aborted) {
      try {
        let version = await this.#list();
        for (failures = 0; !signal.aborted; ) version = await this.#follow(version);
      } catch (error) {
        if (signal.aborted) return;
        const { status, message } = error as KubernetesError;
        if (!(error instanceof KubernetesError) || status !== 410)
          log.warn({ resource: place.resource, reason: message }, "the watch of the API server broke off");
        await delay(clock, fullJitterMs(backoff, ++failures, random()), signal);
      }
    }
  }

  async #list(): Promise<string> {
    const { api, place, onChange, onSynced } = this.deps;
    const { items, resourceVersion } = await api.list<T>(place);
    const gone = new Set(this.objects.keys());
    for (const object of items) {
      gone.delete(keyOf(object));
      this.#put(object);
    }
    for (const key of gone) {
      this.objects.delete(key);
      onChange(key);
    }
    this.#isSynced = true;
    onSynced?.(this.objects);
    return resourceVersion;
  }

  /** @returns the version up to which it was notified */
  async #follow(version: string): Promise<string> {
    const { api, place, onChange } = this.deps;
    let seen = version;
    for await (const { type, object } of api.watch<T>(place, version, this.#ended.signal)) {
      seen = object.metadata.resourceVersion ?? seen;
      if (type === "BOOKMARK") continue;
      if (type !== "DELETED") this.#put(object);
      else if (this.objects.delete(keyOf(object))) onChange(keyOf(object));
    }
    return seen;
  }

  #put(object: T): void {
    const key = keyOf(object);
    if (this.objects.get(key)?.metadata.resourceVersion === object.metadata.resourceVersion) return;
    this.objects.set(key, object);
    this.deps.onChange(key);
  }
}

export function keyOf({ metadata: { namespace, name } }: KubernetesObject): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}
