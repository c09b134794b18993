import { isDeepStrictEqual } from "node:util";
import type { JsonObject, JsonValue } from "../../../model/model.js";
import type { Clock } from "../../../runtime/runtime.js";
import type { KubernetesApi } from "../api/kubernetes_api.js";
import {
  apiVersion,
  type CustomObject,
  finalizer,
  type ReadyVerdict,
  type StatusCondition,
} from "./custom_objects.js";

export interface ObjectStatusDeps {
  readonly api: KubernetesApi;
  readonly clock: Clock;
  readonly kind: string;
  /** In the plural. */
  readonly resource: string;
}

/** Writes what became of objects of one kind: status, events, finalizers. */
export class ObjectStatus {
  constructor(private readonly deps: ObjectStatusDeps) {}

  /**
   * Says what a reconciliation came to, and has an event for each new verdict. Writes nothing where nothing differs.
   *
   * @param fields of the status beside its conditions
   * @param others further conditions, by their type
   * @returns the object as it is then
   */
  async report(
    object: CustomObject,
    verdict: ReadyVerdict,
    fields: JsonObject = {},
    others: Readonly<Record<string, ReadyVerdict>> = {},
  ): Promise<CustomObject> {
    const { conditions = [], ...before } = object.status ?? {};
    const given = Object.entries({ Ready: verdict, ...others });
    const next = given.map(([type, each]) => this.#condition(object, conditions, type, each));
    const status = { ...fields, observedGeneration: object.metadata.generation ?? 0, conditions: next };
    if (isDeepStrictEqual({ ...before, conditions }, JSON.parse(JSON.stringify(status)))) return object;
    // A member that is null is removed (RFC 7396).
    const removed = Object.fromEntries(Object.keys(before).map((name) => [name, null]));
    const written = await this.deps.api.patch<CustomObject>(this.#placeOf(object, "status"), {
      status: { ...removed, ...(status as unknown as JsonObject) },
    });
    const was = conditions.find(({ type }) => type === "Ready");
    if (was?.reason !== verdict.reason || was.message !== verdict.message) await this.#event(object, verdict);
    return written;
  }

  /** @returns whether it was missing */
  async hold(object: CustomObject): Promise<boolean> {
    const { finalizers = [], resourceVersion = "" } = object.metadata;
    if (finalizers.includes(finalizer)) return false;
    const metadata = { resourceVersion, finalizers: [...finalizers, finalizer] };
    await this.deps.api.patch(this.#placeOf(object), { metadata });
    return true;
  }

  /** Lets an object go that is being deleted. @param last what became of it, for its events */
  async release(before: CustomObject, last?: ReadyVerdict): Promise<void> {
    const object = last ? await this.report(before, last) : before;
    const { finalizers = [], resourceVersion = "" } = object.metadata;
    if (!finalizers.includes(finalizer)) return;
    const metadata = { resourceVersion, finalizers: finalizers.filter((name) => name !== finalizer) };
    await this.deps.api.patch(this.#placeOf(object), { metadata });
  }

  async #event(object: CustomObject, { ready, reason, message }: ReadyVerdict): Promise<void> {
    const { api, clock, kind } = this.deps;
    const { name, namespace = api.namespace, uid = "" } = object.metadata;
    const now = new Date(clock.nowMs()).toISOString();
    await api.create(
      { apiVersion: "v1", resource: "events", namespace },
      {
        ...{ apiVersion: "v1", kind: "Event", metadata: { generateName: `${name}.`, namespace } },
        involvedObject: { apiVersion, kind, name, namespace, uid },
        ...{ type: ready ? "Normal" : "Warning", reason, message, source: { component: "nexusd" } },
        ...{ firstTimestamp: now, lastTimestamp: now, count: 1, reportingComponent: "nexusd" },
      },
    );
  }

  #condition(
    { metadata: { generation = 0 } }: CustomObject,
    before: readonly StatusCondition[],
    type: string,
    { ready, reason, message }: ReadyVerdict,
  ): StatusCondition {
    const status = ready ? "True" : "False";
    const was = before.find((each) => each.type === type);
    const now = new Date(this.deps.clock.nowMs()).toISOString().replace(/\.\d+/, "");
    const lastTransitionTime = was?.status === status ? was.lastTransitionTime : now;
    return { type, status, reason, message, observedGeneration: generation, lastTransitionTime };
  }

  #placeOf({ metadata: { name, namespace } }: CustomObject, subresource?: "status") {
    return { apiVersion, resource: this.deps.resource, namespace, name, ...(subresource && { subresource }) };
  }
}

/** Without the members that are undefined. */
export function given(fields: Readonly<Record<string, JsonValue | undefined>>): JsonObject {
  return Object.fromEntries(
    Object.entries(fields).filter((entry): entry is [string, JsonValue] => entry[1] !== undefined),
  );
}
