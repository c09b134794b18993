import { createHash } from "node:crypto";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { Part } from "../../../core/registry.js";
import type { AccessControl } from "../../../domain/access/access.js";
import { RequestTemplateRecordSchema } from "../../../gen/nexus/store/v1/records_pb.js";
import { agentOf, factsOf } from "../../../model/access/access.js";
import { type Changes, type Clock, DueWorker, type Log } from "../../../runtime/runtime.js";
import type { Store } from "../../../store/store.js";
import { pathTemplate } from "./path_template.js";
import { templateTable } from "./template_table.js";

/** Of some 700 bytes each. */
const maxTemplates = 2_000;
const hourMs = 3_600_000;
/** Where there is no place, what was not seen for so long makes way. */
const forgottenAfterMs = 31 * 24 * hourMs;
const writeAfterMs = 10_000;
const stopMs = 5_000;

/** See `nexus.v1.RequestTemplate`. */
export interface SeenTemplate {
  readonly principal: string;
  readonly provider: string;
  readonly host: string;
  readonly method: string;
  readonly path: string;
  readonly firstMs: number;
  count: number;
  lastMs: number;
  userId: string;
  connectionId: string;
}

type TemplateLine = Pick<SeenTemplate, "principal" | "provider" | "host" | "method" | "path">;

interface RequestRecordDeps {
  readonly store: Store;
  readonly access: Pick<AccessControl, "factsOf">;
  readonly changes: Changes;
  readonly clock: Clock;
  readonly log: Log;
  readonly maxTemplates?: number;
}

/**
 * The requests that were let go, as templates. A request is counted in memory, and written with others: a daemon that is killed loses the
 * counts of a few seconds.
 */
export class RequestRecord implements Part {
  readonly #templates = new Map<string, SeenTemplate>();
  readonly #unwritten = new Map<string, SeenTemplate | undefined>();
  readonly #worker: DueWorker<{ readonly key: string; readonly lane: string; readonly dueAtMs: number }>;
  #dueAtMs = 0;
  #leftOut = 0;

  constructor(private readonly deps: RequestRecordDeps) {
    const { store, clock, changes, log } = deps;
    for (const { value } of store.raw((databases) => [...templateTable.of(databases).getRange({})])) {
      const template = decoded(value);
      this.#templates.set(keyOf(template), template);
    }
    this.#worker = new DueWorker({
      ...{ clock, isMonotonic: true, atMost: 1, atMostIn: () => 1, stopMs },
      next: () => (this.#unwritten.size > 0 ? [{ key: "write", lane: "", dueAtMs: this.#dueAtMs }] : []),
      run: () => this.#write(),
      onError: (err) => log.error({ err }, "templates of requests could not be written"),
    });
    changes.on("requestLetGo", (principalName, connectionId, request) => {
      const connection = deps.access.factsOf(connectionId);
      if (!connection) return;
      const { unclearHeaders = [], ...line } = request;
      const described = { ...line, unclearHeaders, headers: undefined, body: undefined, session: undefined };
      const facts = factsOf(principalName, connection, described, clock.nowMs());
      const { "request.method": method, "request.host": host, "request.path": path } = facts;
      const { userId, provider } = connection;
      const principal = agentOf(principalName);
      this.#count({ principal, provider: provider.name, host, method, path, userId, connectionId });
    });
  }

  start(): void {
    this.#worker.start();
  }

  /** What is let go by calls that still run is written at once. */
  async stop(): Promise<void> {
    await this.#worker.stop();
    await this.#writeLast();
  }

  /** Requests that no template counts. */
  get leftOut(): number {
    return this.#leftOut;
  }

  /** Those that were seen since then, in an order that people read. */
  list(sinceMs: number): SeenTemplate[] {
    return [...this.#templates.values()]
      .filter(({ lastMs }) => lastMs + hourMs > sinceMs)
      .sort((one, other) => (sortKeyOf(one) < sortKeyOf(other) ? -1 : 1));
  }

  #count(
    seen: {
      readonly [name in "host" | "method" | "path"]: unknown;
    } & Pick<SeenTemplate, "principal" | "provider" | "userId" | "connectionId">,
  ): void {
    const { host, method, path: sent, userId, connectionId } = seen;
    const path = typeof sent === "string" ? pathTemplate(sent) : undefined;
    const isPlain =
      typeof host === "string" &&
      /^[a-z0-9.:[\]_-]{1,255}$/.test(host) &&
      typeof method === "string" &&
      /^[A-Z-]{1,20}$/.test(method);
    if (!isPlain || path === undefined) {
      this.#leftOut++;
      return;
    }
    const nowMs = this.deps.clock.nowMs();
    const hour = nowMs - (nowMs % hourMs);
    const line = { principal: seen.principal, provider: seen.provider, host, method, path };
    const key = keyOf(line);
    let template = this.#templates.get(key);
    if (!template) {
      if (!this.#hasPlace(nowMs)) {
        this.#leftOut++;
        return;
      }
      template = { ...line, firstMs: hour, count: 0, lastMs: hour, userId, connectionId };
      this.#templates.set(key, template);
    }
    template.count++;
    Object.assign(template, { lastMs: Math.max(template.lastMs, hour), userId, connectionId });
    this.#changed(key, template);
  }

  #hasPlace(nowMs: number): boolean {
    const most = this.deps.maxTemplates ?? maxTemplates;
    if (this.#templates.size < most) return true;
    for (const [key, { lastMs }] of this.#templates)
      if (nowMs - lastMs > forgottenAfterMs) {
        this.#templates.delete(key);
        this.#changed(key, undefined);
      }
    return this.#templates.size < most;
  }

  #changed(key: string, template: SeenTemplate | undefined): void {
    const isFirst = this.#unwritten.size === 0;
    this.#unwritten.set(key, template);
    if (!isFirst) return;
    this.#dueAtMs = this.deps.clock.monotonicMs() + writeAfterMs;
    if (this.#worker.isOpen) this.#worker.wake();
    else void this.#writeLast();
  }

  async #writeLast(): Promise<void> {
    try {
      await this.#write();
    } catch (err) {
      this.deps.log.error({ err }, "templates of requests could not be written");
    }
  }

  async #write(): Promise<void> {
    if (this.#unwritten.size === 0) return;
    const batch = new Map(this.#unwritten);
    this.#unwritten.clear();
    try {
      await this.deps.store.commit((tx) =>
        tx.raw((databases) => {
          for (const [key, template] of batch)
            if (template) templateTable.of(databases).putSync(digestOf(key), encoded(template));
            else templateTable.of(databases).removeSync(digestOf(key));
        }),
      );
    } catch (error) {
      for (const [key, template] of batch) if (!this.#unwritten.has(key)) this.#unwritten.set(key, template);
      throw error;
    }
  }
}

function keyOf({ principal, provider, host, method, path }: TemplateLine): string {
  return [principal, provider, host, method, path].join("\0");
}

function sortKeyOf({ principal, provider, host, method, path }: SeenTemplate): string {
  return [provider, host, path, method, principal].join("\0");
}

function digestOf(key: string): Buffer {
  return createHash("sha256").update(key).digest();
}

function encoded({ count, firstMs, lastMs, ...rest }: SeenTemplate): Uint8Array {
  const numbers = { count: BigInt(count), firstMs: BigInt(firstMs), lastMs: BigInt(lastMs) };
  return toBinary(RequestTemplateRecordSchema, create(RequestTemplateRecordSchema, { ...rest, ...numbers }));
}

function decoded(bytes: Uint8Array): SeenTemplate {
  const {
    $typeName: _,
    $unknown: __,
    count,
    firstMs,
    lastMs,
    ...rest
  } = fromBinary(RequestTemplateRecordSchema, bytes);
  return { ...rest, count: Number(count), firstMs: Number(firstMs), lastMs: Number(lastMs) };
}
