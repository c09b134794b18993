import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { Agent, request as sendRequest } from "node:https";
import { json, text as readAll } from "node:stream/consumers";
import type { JsonObject } from "../../../model/model.js";
import { type Clock, Secret } from "../../../runtime/runtime.js";
import { type ObjectPlace, pathOf, selectorOf } from "./object_path.js";
import type { KubernetesObject } from "./objects.js";

export interface KubernetesApiDeps {
  readonly url: string;
  /** Of this pod. */
  readonly namespace: string;
  /** Called for each request: the kubelet replaces the file before the token expires. */
  readonly token: () => Secret;
  /** PEM: the CA of the cluster. */
  readonly ca: () => string;
  readonly clock: Clock;
}

/** What the API server answers instead of a result. */
export class KubernetesError extends Error {
  override readonly name = "KubernetesError";

  constructor(
    /** Of HTTP; 0 where no answer came. */
    readonly status: number,
    /** `NotFound`, `Conflict`, `Expired`, ... */
    readonly reason: string,
    message: string,
  ) {
    super(message);
  }
}

/** From the call to the last byte, but for a watch. */
const timeoutMs = 15_000;
/** The API server closes a watch by itself after this; the next one begins where it ended. */
const watchSeconds = 300;
/** Kept after every request; `nexusd` for what it writes to objects that others write, too. */
const fieldManager = "nexusd";
const serviceAccountFolder = "/var/run/secrets/kubernetes.io/serviceaccount";

/**
 * The requests that nexusd makes of a Kubernetes API server: get, list, watch, server-side apply, merge patch, replace, and delete.
 *
 * `@kubernetes/client-node` would bring more than 60 packages and 80 MB for these, most of it generated clients.
 */
export class KubernetesApi {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 16 });

  constructor(private readonly deps: KubernetesApiDeps) {}

  /** The API server of the cluster that this pod runs in. @throws Error outside of a cluster */
  static inCluster(env: NodeJS.ProcessEnv, clock: Clock, folder = serviceAccountFolder): KubernetesApi {
    const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port = "443" } = env;
    if (host === undefined)
      throw new Error("this is no pod of a cluster: KUBERNETES_SERVICE_HOST is not set. Run it in a pod");
    const read = (name: string): string => readFileSync(`${folder}/${name}`, "utf8").trim();
    return new KubernetesApi({
      url: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
      namespace: read("namespace"),
      token: () => new Secret(read("token")),
      ca: () => read("ca.crt"),
      clock,
    });
  }

  get namespace(): string {
    return this.deps.namespace;
  }

  /** @throws KubernetesError */
  async get<T extends KubernetesObject>(place: ObjectPlace): Promise<T> {
    return await this.#json<T>("GET", pathOf(place));
  }

  /** Undefined where there is no such object. @throws KubernetesError */
  async find<T extends KubernetesObject>(place: ObjectPlace): Promise<T | undefined> {
    try {
      return await this.get<T>(place);
    } catch (error) {
      if (error instanceof KubernetesError && error.status === 404) return undefined;
      throw error;
    }
  }

  async list<T extends KubernetesObject>(
    place: ObjectPlace,
  ): Promise<{ readonly items: readonly T[]; readonly resourceVersion: string }> {
    type List = { readonly items: readonly T[]; readonly metadata: { readonly resourceVersion: string } };
    const { items, metadata } = await this.#json<List>("GET", `${pathOf(place)}?${selectorOf(place)}`);
    return { items, resourceVersion: metadata.resourceVersion };
  }

  /** Server-side apply: this manager owns the fields that the object names. @throws KubernetesError */
  async apply<T extends KubernetesObject>(place: ObjectPlace, object: JsonObject): Promise<T> {
    const query = `fieldManager=${fieldManager}&force=true`;
    return await this.#json<T>("PATCH", `${pathOf(place)}?${query}`, object, "application/apply-patch+yaml");
  }

  /** A merge patch (RFC 7396). With `metadata.resourceVersion` in it, it fails where somebody wrote meanwhile. @throws KubernetesError */
  async patch<T extends KubernetesObject>(place: ObjectPlace, change: JsonObject): Promise<T> {
    return await this.#json<T>("PATCH", pathOf(place), change, "application/merge-patch+json");
  }

  /** @throws KubernetesError */
  async create<T extends KubernetesObject>(place: ObjectPlace, object: JsonObject): Promise<T> {
    return await this.#json<T>("POST", pathOf({ ...place, name: undefined }), object);
  }

  /** @throws KubernetesError */
  async delete(place: ObjectPlace): Promise<void> {
    await this.#json("DELETE", pathOf(place));
  }

  /** @throws KubernetesError */
  async text(path: string): Promise<string> {
    return await readAll(await this.#send("GET", path));
  }

  /**
   * What changes after a version, until the API server ends the stream.
   *
   * @throws KubernetesError, with the status 410 where the version is too old to go on from
   */
  async *watch<T extends KubernetesObject>(
    place: ObjectPlace,
    resourceVersion: string,
    signal: AbortSignal,
  ): AsyncGenerator<ObjectEvent<T>> {
    const query = `${selectorOf(place)}&watch=1&allowWatchBookmarks=true&timeoutSeconds=${watchSeconds}&resourceVersion=${resourceVersion}`;
    const response = await this.#send("GET", `${pathOf(place)}?${query}`, { signal });
    let rest = "";
    for await (const text of response.setEncoding("utf8") as AsyncIterable<string>) {
      const lines = (rest + text).split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const event = JSON.parse(line) as ObjectEvent<T> | { type: "ERROR"; object: Status };
        if (event.type === "ERROR") throw errorOf(event.object.code ?? 0, event.object);
        yield event;
      }
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  async #json<T>(method: string, path: string, body?: JsonObject, contentType?: string): Promise<T> {
    return (await json(await this.#send(method, path, { body, contentType }))) as T;
  }

  async #send(method: string, path: string, more: SentObject = {}): Promise<IncomingMessage> {
    const { url, clock } = this.deps;
    const { body, contentType = "application/json", signal } = more;
    const ended = new AbortController();
    // A watch says nothing for minutes, and then `watchSeconds` end it.
    const timer = clock.setTimer(signal ? (watchSeconds + 60) * 1_000 : timeoutMs, () => ended.abort());
    const options = {
      method,
      agent: this.#agent,
      ca: this.deps.ca(),
      headers: {
        accept: "application/json",
        authorization: `Bearer ${this.deps.token().reveal()}`,
        ...(body && { "content-type": contentType }),
      },
      signal: signal ? AbortSignal.any([signal, ended.signal]) : ended.signal,
    };
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const request = sendRequest(new URL(path, url), options, resolve);
      request.on("error", (error: NodeJS.ErrnoException) =>
        reject(new KubernetesError(0, "Unreachable", `the API server did not answer (${error.code ?? "?"})`)),
      );
      // A daemon that has ended does not wait for what its cluster may say yet.
      if (signal) request.on("socket", (socket) => socket.unref());
      request.end(body && JSON.stringify(body));
    }).catch((error: unknown) => {
      timer.cancel();
      throw error;
    });
    response.once("close", () => timer.cancel());
    const { statusCode = 0 } = response;
    if (statusCode >= 300) throw errorOf(statusCode, (await json(response).catch(() => ({}))) as Status);
    return response;
  }
}

interface SentObject {
  readonly body?: JsonObject | undefined;
  readonly contentType?: string | undefined;
  readonly signal?: AbortSignal;
}

/** What changed. A bookmark has nothing but a newer version. */
export interface ObjectEvent<T extends KubernetesObject> {
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: T;
}

/** `meta.k8s.io/v1 Status`. */
interface Status {
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
}

function errorOf(status: number, { reason = "", message = `the API server answered ${status}` }: Status) {
  return new KubernetesError(status, reason, message);
}
