import type { Core } from "../../../core/core.js";
import { type Part, StartRefused } from "../../../core/registry.js";
import type { Clock } from "../../../runtime/runtime.js";
import type { Routes } from "../../../server/kit.js";
import { type BoundService, type Call, callerOf } from "../../../service/service.js";
import { Informer } from "../api/informer.js";
import { KubernetesApi } from "../api/kubernetes_api.js";
import type { KubernetesObject } from "../api/objects.js";
import type { KubernetesConfig } from "../kubernetes_settings.js";
import { policyOf } from "./access_grants.js";
import { ConnectionReconciler } from "./connection_reconciler.js";
import {
  type AccessGrantObject,
  apiVersion,
  type ConnectionObject,
  type ProviderObject,
} from "./custom_objects.js";
import { ObjectStatus } from "./object_status.js";
import { ProviderReconciler } from "./provider_reconciler.js";
import { ReconcileQueue } from "./reconcile_queue.js";
import { TokenExport } from "./token_export.js";

/** Keeps objects of the cluster: grants at every hub, and at the one that leads the rest, and what statuses say. */
export class CustomResources implements Part {
  readonly #api: KubernetesApi;
  readonly #grants: Informer<AccessGrantObject>;
  #services: readonly BoundService[] = [];
  #parts: readonly { stop(): Promise<void> }[] = [];
  #onGrants = (): void => {};

  constructor(
    private readonly core: Core,
    private readonly settings: KubernetesConfig,
  ) {
    try {
      this.#api = KubernetesApi.inCluster(core.environment, this.#clock, settings.credentials);
    } catch (error) {
      throw new StartRefused(`NEXUS_KUBERNETES_NAMESPACES: ${(error as Error).message}`);
    }
    this.#grants = this.#informer<AccessGrantObject>("accessgrants", this.#api.namespace, () => {
      this.core.access.control.setPolicy(policyOf(this.#grants.objects.values()).policy, "cluster");
      this.#onGrants();
    });
    this.#grants.start();
  }

  /** Answers nothing: these are the services that Connections are kept by. */
  routes(services: readonly BoundService[]): Routes {
    this.#services = services;
    return () => false;
  }

  async start(): Promise<void> {
    this.#parts = [this.#keepProviders(), ...this.#keepConnections()].flat();
    this.#keepGrantStatus();
  }

  async stop(): Promise<void> {
    this.#onGrants = () => {};
    await Promise.all(this.#parts.map((part) => part.stop()));
    this.#parts = [];
  }

  #keepProviders() {
    const status = this.#status("Provider", "providers");
    const reconciler = new ProviderReconciler({
      ...{ core: this.core, api: this.#api, status },
      find: (key) => informer.objects.get(key),
    });
    const queue = this.#queue((key) => reconciler.reconcile(key));
    const informer = this.#informer<ProviderObject>("providers", this.#api.namespace, (key) =>
      queue.add(key),
    );
    informer.start();
    return [informer, queue];
  }

  #keepConnections() {
    const { namespaces, exportNamespaces } = this.settings;
    const { changes } = this.core;
    const ended = new AbortController();
    const calls = callerOf(this.#services);
    const callAs = (name: string): Call => calls({ principal: { name, kind: "jwt" }, signal: ended.signal });
    const informers = namespaces.map((namespace) =>
      this.#informer<ConnectionObject>("connections", namespace, (key) => queue.add(key)),
    );
    const reconciler = new ConnectionReconciler({
      ...{ callAs, clock: this.core.clock, status: this.#status("Connection", "connections") },
      tokens: new TokenExport({ api: this.#api, namespaces: exportNamespaces }),
      find: (key) => informers.map(({ objects }) => objects.get(key)).find((object) => object !== undefined),
      all: () =>
        informers.every(({ isSynced }) => isSynced)
          ? informers.flatMap(({ objects }) => [...objects.values()])
          : undefined,
    });
    const queue = this.#queue((key) => reconciler.reconcile(key));
    const onChanged = (changed: readonly { readonly connectionId: string }[]): void => {
      for (const { connectionId } of changed)
        for (const key of reconciler.keysOf(connectionId)) queue.add(key);
    };
    changes.on("connections", onChanged);
    this.#onGrants = () => {
      for (const { objects } of informers) for (const key of objects.keys()) queue.add(key);
    };
    for (const informer of informers) informer.start();
    const unsubscribe = {
      stop: async () => {
        changes.off("connections", onChanged);
        ended.abort();
      },
    };
    return [...informers, unsubscribe, queue];
  }

  #keepGrantStatus(): void {
    const status = this.#status("AccessGrant", "accessgrants");
    const queue = this.#queue(async (key) => {
      const object = this.#grants.objects.get(key);
      if (object?.metadata.deletionTimestamp !== undefined) {
        // The policy in force is without it since it was seen to go.
        await status.release(object, { ready: false, reason: "Ended", message: "it binds nobody any more" });
        return undefined;
      }
      const verdict = policyOf(this.#grants.objects.values()).verdicts.get(key);
      if (!object || !verdict) return undefined;
      await status.hold(object);
      await status.report(object, verdict);
      return undefined;
    });
    // Each may take a subject from another one, and decides what Connections may ask for.
    const judgeConnections = this.#onGrants;
    this.#onGrants = () => {
      for (const key of this.#grants.objects.keys()) queue.add(key);
      judgeConnections();
    };
    this.#onGrants();
    this.#parts = [...this.#parts, queue];
  }

  /** That of links, which goes by the machine: a watch that broke off is resumed in its time. */
  get #clock(): Clock {
    return this.core.linkClock;
  }

  #status(kind: string, resource: string): ObjectStatus {
    return new ObjectStatus({ api: this.#api, clock: this.core.clock, kind, resource });
  }

  #queue(reconcile: (key: string) => Promise<number | undefined>): ReconcileQueue {
    const { random, log } = this.core;
    return new ReconcileQueue({ reconcile, clock: this.#clock, random, log });
  }

  #informer<T extends KubernetesObject>(
    resource: string,
    namespace: string,
    onChange: (key: string) => void,
  ) {
    const { random, log } = this.core;
    const place = { apiVersion, resource, namespace };
    return new Informer<T>({ ...{ api: this.#api, place, clock: this.#clock, random, log }, onChange });
  }
}
