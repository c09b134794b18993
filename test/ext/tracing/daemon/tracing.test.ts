import { join } from "node:path";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TokenService } from "../../../../src/gen/nexus/v1/token_pb.js";
import { DaemonProcesses } from "../../../daemon/daemon_process.js";
import { failureOf } from "../../../daemon/errors.js";
import { Place, socketTransport } from "../../../daemon/harness.js";
import { registered, requestOf } from "../../../daemon/requests.js";
import { Browser } from "../../../fakes/browser.js";
import { OtlpReceiver, type ReceivedSpan } from "../../../fakes/otlp_receiver.js";
import { perTest } from "../../../lifetimes.js";
import { json, type ScriptedServer, startScriptedServer } from "../../../oauth/scripted_server.js";

const traceId = "0af7651916cd43dd8448eb211c80319c";
const callerSpanId = "b7ad6b7169203331";
const headers = { traceparent: `00-${traceId}-${callerSpanId}-01`, tracestate: "acme=1" };
const tokenService = "nexus.v1.TokenService";

describe("traces of a daemon", () => {
  const place = perTest(() => Place.make());
  let provider: ScriptedServer;
  const receiver = perTest(() => OtlpReceiver.start());
  /** Their traces are sent as soon as can be. */
  const daemons = perTest(
    () =>
      new DaemonProcesses({
        ...place.environment,
        OTEL_EXPORTER_OTLP_ENDPOINT: receiver.origin,
        OTEL_BSP_SCHEDULE_DELAY: "20",
      }),
  );
  let refusal: string | undefined;
  beforeEach(async () => {
    refusal = undefined;
    let count = 0;
    provider = await startScriptedServer((response, request) => {
      if (refusal !== undefined) return json({ error: refusal }, 400)(response, request);
      count++;
      json({
        access_token: `access-${count}-secret`,
        refresh_token: `refresh-${count}-secret`,
        token_type: "Bearer",
        expires_in: 3600,
      })(response, request);
    });
  });
  afterEach(() => provider.close());

  /** An active connection of a provider with secrets in its URLs. */
  async function connected(): Promise<string> {
    const { providers, connections } = place.clients();
    const providerId = await registered(
      { providers },
      {
        name: "acme",
        clientId: "client",
        clientSecret: "the-client-secret",
        authUrl: "http://127.0.0.1:1/authorize",
        tokenUrl: `${provider.origin}/hidden-path/token?hidden=query`,
      },
    );
    const { authUrl, connectionId } = await connections.requestConnection(requestOf(providerId));
    const browser = new Browser();
    const { url: there } = await browser.get(authUrl, (url) => url.startsWith("http://127.0.0.1:1/"));
    const asked = new URL(there).searchParams;
    const back = new URL(asked.get("redirect_uri") ?? "");
    back.search = new URLSearchParams({ state: asked.get("state") ?? "", code: "code-1-secret" }).toString();
    expect((await browser.get(back.href)).status).toBe(200);
    return connectionId;
  }

  const grpc = () => createClient(TokenService, socketTransport(place.socket));
  const ofRpc =
    (method: string, system: string) =>
    ({ name, attributes }: ReceivedSpan): boolean =>
      name === `${tokenService}/${method}` && attributes["rpc.system.name"] === system;

  it("hold a call, the refresh in it and the request to the provider, as parts of the caller's trace", async () => {
    const daemon = await daemons.started({
      OTEL_SERVICE_NAME: "agents-sidecar",
      OTEL_RESOURCE_ATTRIBUTES: "deployment.environment.name=test",
      OTEL_EXPORTER_OTLP_HEADERS: "x-tenant=seven",
    });
    const connectionId = await connected();
    await grpc().refreshToken({ connectionId }, { headers });
    const rpc = await receiver.span(ofRpc("RefreshToken", "grpc"));
    const refresh = await receiver.span(({ name }) => name === "refresh");
    const post = await receiver.span(
      ({ name, parentSpanId }) => name === "POST" && parentSpanId === refresh.spanId,
    );
    expect(rpc).toMatchObject({
      traceId,
      parentSpanId: callerSpanId,
      traceState: "acme=1",
      kind: 2,
      status: 0,
    });
    expect(rpc.attributes).toEqual({
      "rpc.system.name": "grpc",
      "rpc.method": `${tokenService}/RefreshToken`,
      "nexus.agent": "owner",
      "nexus.connection_id": expect.stringMatching(/./),
      "user.id": "ada",
      "rpc.response.status_code": "OK",
    });
    expect(rpc.resource).toMatchObject({
      "service.name": "agents-sidecar",
      "service.version": expect.stringMatching(/^\d+\.\d+/),
      "deployment.environment.name": "test",
    });
    expect(refresh).toMatchObject({ traceId, parentSpanId: rpc.spanId, kind: 1, status: 0 });
    expect(refresh.attributes).toEqual({
      "nexus.provider": "acme",
      "nexus.connection_id": connectionId,
      "nexus.refresh.outcome": "refreshed",
    });
    expect(post).toMatchObject({ traceId, kind: 3, status: 0 });
    expect(post.attributes).toEqual({
      "http.request.method": "POST",
      "http.response.status_code": 200,
      "server.address": "127.0.0.1",
      "server.port": Number(new URL(provider.origin).port),
      "url.scheme": "http",
    });
    expect(rpc.durationNs).toBeGreaterThanOrEqual(post.durationNs);
    expect(receiver.requests[0]).toMatchObject({ path: "/v1/traces", headers: { "x-tenant": "seven" } });

    const [line] = await daemon.wrote(/^.*"token refreshed".*(?=\n)/m);
    expect(JSON.parse(line)).toMatchObject({ trace_id: traceId, span_id: refresh.spanId });
    expect(daemon.output).toMatch(/"receiver":"http:\/\/127[^}]*"traces go to this receiver"/);
    expect(daemon.output).not.toMatch(/trace_id[^\n]*nexusd is ready/);
  });

  it("tell nothing to the provider, and hold no token, secret, path or query", async () => {
    await daemons.started();
    const connectionId = await connected();
    await grpc().refreshToken({ connectionId }, { headers });
    await receiver.span(ofRpc("RefreshToken", "grpc"));
    expect(provider.requests).toHaveLength(2);
    for (const request of provider.requests) {
      expect(request.headers).not.toHaveProperty("traceparent");
      expect(request.headers).not.toHaveProperty("tracestate");
    }
    // The exchange of the code belongs to no call.
    expect(
      await receiver.span(({ name, parentSpanId }) => name === "POST" && parentSpanId === ""),
    ).toBeTruthy();
    const sent = Buffer.concat(receiver.bodies).toString("latin1");
    expect(sent).toContain("http.request.method");
    expect(sent).not.toMatch(/-secret|hidden/);
  });

  it("are taken over from Connect, JSON and REST, and from none when they are malformed", async () => {
    await daemons.started();
    const connectionId = await connected();
    const keyed = { ...headers, "x-api-key": place.apiKey };
    const transport = createConnectTransport({ baseUrl: place.httpUrl, httpVersion: "1.1" });
    await createClient(TokenService, transport).getToken({ connectionId }, { headers: keyed });
    expect(await receiver.span(ofRpc("GetToken", "connectrpc"))).toMatchObject({
      traceId,
      parentSpanId: callerSpanId,
    });
    receiver.spans.length = 0;
    expect((await fetch(`${place.httpUrl}/v1/token/${connectionId}`, { headers: keyed })).status).toBe(200);
    expect(await receiver.span(({ name }) => name.endsWith("/GetToken"))).toMatchObject({ traceId });
    receiver.spans.length = 0;
    await grpc().getToken({ connectionId }, { headers: { traceparent: "00-nothing-01" } });
    const alone = await receiver.span(ofRpc("GetToken", "grpc"));
    expect(alone.parentSpanId).toBe("");
    expect(alone.traceId).not.toBe(traceId);
  });

  it("say what failed, and that a stream was opened", async () => {
    await daemons.started();
    const connectionId = await connected();
    refusal = "invalid_grant";
    await failureOf(grpc().refreshToken({ connectionId }, { headers }));
    const rpc = await receiver.span(ofRpc("RefreshToken", "grpc"));
    // What a caller did wrong is no failure of the server.
    expect(rpc.attributes["rpc.response.status_code"]).toBe("FAILED_PRECONDITION");
    expect(rpc.status).toBe(0);
    const refresh = await receiver.span(({ name }) => name === "refresh");
    expect(refresh).toMatchObject({ status: 2, attributes: { "error.type": "attention" } });
    const post = await receiver.span(({ parentSpanId }) => parentSpanId === refresh.spanId);
    expect(post).toMatchObject({
      status: 2,
      attributes: { "error.type": "400", "http.response.status_code": 400 },
    });
    const stop = new AbortController();
    const stream = grpc().watchTokens({}, { headers, signal: stop.signal })[Symbol.asyncIterator]();
    await stream.next();
    expect(await receiver.span(ofRpc("WatchTokens", "grpc"))).toMatchObject({ traceId });
    stop.abort();
  });

  it("are sent at the end, though their batch is not due", async () => {
    const daemon = await daemons.started({ OTEL_BSP_SCHEDULE_DELAY: "600000" });
    await place.clients().connections.listConnections({});
    expect(receiver.spans).toEqual([]);
    expect(await daemon.kill("SIGTERM")).toBe(0);
    expect(receiver.spans.map(({ name }) => name)).toEqual(["nexus.v1.ConnectionService/ListConnections"]);
  });

  it.each([
    ["is not there", "http://127.0.0.1:1", 200],
    ["refuses", undefined, 500],
    ["hangs", undefined, undefined],
  ] as const)("harm nobody when their receiver %s", async (_what, endpoint, status) => {
    receiver.status = status;
    const daemon = await daemons.started({
      ...(endpoint === undefined ? {} : { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint }),
      OTEL_EXPORTER_OTLP_TIMEOUT: "200",
    });
    const connectionId = await connected();
    for (let i = 0; i < 20; i++) await grpc().getToken({ connectionId });
    await daemon.wrote(/traces were not taken by their receiver/);
    for (let i = 0; i < 20; i++) await grpc().getToken({ connectionId });
    const before = performance.now();
    expect(await daemon.kill("SIGTERM")).toBe(0);
    expect(performance.now() - before).toBeLessThan(10_000);
    const lines = daemon.output.match(/.*traces were not taken.*/g) ?? [];
    const reasons = lines.map((line) => /"reason":"(\w+)"/.exec(line)?.[1]);
    // Once for each: on a busy machine, an answer may also come too late.
    expect(reasons).toEqual([...new Set(reasons)]);
  });

  it.each([
    ["no endpoint", { OTEL_EXPORTER_OTLP_ENDPOINT: "" }, false],
    ["the SDK disabled", { OTEL_SDK_DISABLED: "true" }, false],
    ["no exporter", { OTEL_TRACES_EXPORTER: "none" }, false],
    ["a sampler that takes none", { OTEL_TRACES_SAMPLER: "always_off" }, true],
  ])("are not sent with %s", async (_what, environment, isLoaded) => {
    const spy = join(import.meta.dirname, "../../../fakes/loaded_modules.mjs");
    const daemon = await daemons.started({ ...environment, NODE_OPTIONS: `--import ${spy}` });
    await place.clients().connections.listConnections({});
    expect(await daemon.kill("SIGTERM")).toBe(0);
    expect(receiver.requests).toEqual([]);
    // Nothing of it is loaded where nothing is to be sent.
    expect(daemon.output.includes("loads otlp_tracing")).toBe(isLoaded);
    expect(daemon.output).toContain("loads run_daemon");
  });
});
