import { create, type Message } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Catalogue } from "../../src/catalogue/catalogue.js";
import type { Core } from "../../src/core/core.js";
import { openDomain } from "../../src/core/open_domain.js";
import { Registry, tablesOf } from "../../src/core/registry.js";
import { definedServices, guardOf } from "../../src/daemon/make_listeners.js";
import { extensions } from "../../src/ext/extensions.js";
import { Authorization, type CheckResponse } from "../../src/gen/envoy/service/auth/v3/external_auth_pb.js";
import type { Principal } from "../../src/model/access/principal.js";
import { Changes } from "../../src/runtime/changes.js";
import { drawn } from "../../src/runtime/stream_sink.js";
import type { BoundMethod } from "../../src/service/pipeline/bound_service.js";
import { CallPipeline } from "../../src/service/pipeline/call_pipeline.js";
import { rpcName } from "../../src/service/pipeline/rpc_access.js";
import { Store } from "../../src/store/store.js";
import { createLogger } from "../../src/telemetry/logger.js";
import { Metrics } from "../../src/telemetry/metrics.js";
import { KeyRingSource } from "../../src/vault/key_source.js";
import { Vault } from "../../src/vault/vault.js";
import { Place } from "../daemon/harness.js";
import { ManualClock } from "../fakes/manual_clock.js";

const signal = new AbortController().signal;

describe("every RPC that the daemon serves", () => {
  let store: Store;
  let methods: BoundMethod[];
  beforeAll(async () => {
    const { config } = await Place.make({ NEXUS_PROXIES: "true", NEXUS_NOTIFY_COMMAND: "true" });
    const log = createLogger({ level: "error", format: "json", isTTY: false, write: () => undefined });
    const clock = new ManualClock(Date.now());
    store = Store.open({ folder: config.dataDir, nowMs: clock.nowMs(), tables: tablesOf(extensions) });
    const metrics = new Metrics({ version: "test" });
    const vault = new Vault(Buffer.alloc(32, 1));
    const keySource = new KeyRingSource({ source: config.encryptionKey, environment: {}, clock });
    const changes = new Changes();
    const ground = { config, store, vault, keySource, metrics, changes, clock, random: () => 0.5, log };
    const domain = openDomain({ ...ground, spoolFile: undefined });
    const templates = await Catalogue.open(undefined);
    const core: Core = {
      ...domain,
      ...ground,
      templates,
      environment: {},
      settings: [],
      linkClock: clock,
      member: undefined,
      approvalUrl: () => undefined,
      keepProfiles: undefined,
    };
    const registry = new Registry();
    for (const extension of extensions) await extension.open?.(core, registry);
    const { rpcs: more } = registry.added;
    const services = definedServices(domain, templates, config, { nowMs: () => 0, more });
    const pipeline = new CallPipeline({ guard: guardOf(domain, undefined) });
    methods = services.flatMap((service) => pipeline.bind(service).methods);
  });
  afterAll(() => store.close());

  /** The code that a call of an empty request ends with; 0 for none. */
  async function codeOf(method: BoundMethod, principal: Principal): Promise<number> {
    const request = create(method.descriptor.input);
    try {
      if (method.kind === "unary") {
        const answer = await method.call(request, { principal, signal });
        // A denial of Check is an answer.
        if (method.descriptor === Authorization.method.check)
          return (answer as CheckResponse).status?.code ?? 0;
      } else if (method.kind === "bidi_streaming")
        await drawn<Message>((sink) => method.open(one(request), { principal }, sink), signal).next();
      else await drawn<Message>((sink) => method.open(request, { principal }, sink), signal).next();
      return 0;
    } catch (error) {
      return (error as { code: number }).code;
    }
  }

  it.each(["jwt:nobody", "cert:spiffe://example.org/x", "uid:1", "key:unknown"])(
    "is denied to %s, whom nothing names, before its request is looked at",
    async (name) => {
      expect(methods.length).toBeGreaterThan(25);
      // A key that does not exist is nobody; the others are somebody who may nothing.
      const [kind, code] = name.startsWith("key:") ? (["key", 16] as const) : (["jwt", 7] as const);
      const answers = await Promise.all(
        methods.map(async (method) => [rpcName(method.descriptor), await codeOf(method, { name, kind })]),
      );
      const others = answers.filter(([, answered]) => answered !== code);
      expect(others).toEqual(kind === "key" ? [] : [["nexus.v1.AccessService/WhoAmI", 0]]);
    },
  );
});

async function* one(request: Message): AsyncGenerator<Message> {
  yield request;
}
