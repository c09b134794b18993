import { describe, expect, it } from "vitest";
import { LabelValues, Metrics } from "../../src/telemetry/metrics.js";

async function linesOf(metrics: Metrics): Promise<string[]> {
  return (await metrics.render()).body.split("\n");
}

describe("Metrics", () => {
  it("renders counters, the histogram and the build", async () => {
    const metrics = new Metrics({ version: "1.2.3" });
    metrics.rpcAnswered({ method: "nexus.v1.TokenService/GetToken", code: "ok", listener: "grpc" });
    metrics.rpcAnswered({ method: "nexus.v1.TokenService/GetToken", code: "ok", listener: "grpc" });
    metrics.refreshed("github", "failure", "invalid_grant", 300);
    const lines = await linesOf(metrics);
    expect(lines).toContain(
      'nexus_rpc_requests_total{method="nexus.v1.TokenService/GetToken",code="ok",listener="grpc"} 2',
    );
    expect(lines).toContain(
      'nexus_refresh_total{provider="github",result="failure",reason="invalid_grant"} 1',
    );
    expect(lines).toContain('nexus_refresh_duration_seconds_bucket{le="0.25"} 0');
    expect(lines).toContain('nexus_refresh_duration_seconds_bucket{le="0.5"} 1');
    expect(lines).toContain("nexus_refresh_duration_seconds_sum 0.3");
    expect(lines).toContain(`nexus_build_info{version="1.2.3",node_version="${process.versions.node}"} 1`);
    expect(lines.some((line) => line.startsWith("process_cpu_seconds_total "))).toBe(true);
  });

  it("measures the event loop only once somebody asks, and shows no statistics of nothing", async () => {
    const metrics = new Metrics({ version: "1" });
    const first = await linesOf(metrics);
    expect(first.some((line) => line.startsWith("nodejs_eventloop_lag_seconds "))).toBe(true);
    expect(first.filter((line) => line.includes("nodejs_eventloop_lag_min_seconds"))).toEqual([]);
    const second = await linesOf(metrics);
    expect(second.some((line) => line.startsWith("nodejs_eventloop_lag_min_seconds "))).toBe(true);
    expect(second.filter((line) => line.startsWith("process_cpu_seconds_total "))).toHaveLength(1);
  });

  it("says what kind of text it is", async () => {
    const { contentType } = await new Metrics({ version: "1" }).render();
    expect(contentType).toMatch(/^text\/plain; version=0\.0\.4/);
  });

  it("reads the gauges when asked", async () => {
    const metrics = new Metrics({ version: "1" });
    expect((await linesOf(metrics)).filter((line) => line.startsWith("nexus_connections{"))).toEqual([]);
    const counts = { pending: 0, active: 1, attention: 2, revoked: 0, expired: 0, failed: 0 };
    let certificateEnds: number | undefined = 1_900_000_000;
    metrics.observe(() => counts, {
      nexus_watch_subscribers: () => 4,
      nexus_refresh_queue_lag_seconds: () => 1.5,
      nexus_refreshes_running: () => 2,
      nexus_refreshes_waiting: () => 3,
      nexus_providers_suspended: () => 1,
      nexus_unwritten_token_sets: () => 0,
      nexus_tls_certificate_expiry_timestamp_seconds: () => certificateEnds,
      nexus_time_seconds: () => 1_800_000_000.5,
    });
    counts.active = 7;
    const lines = await linesOf(metrics);
    expect(lines).toContain('nexus_connections{status="active"} 7');
    expect(lines).toContain('nexus_connections{status="attention"} 2');
    expect(lines).toContain('nexus_connections{status="expired"} 0');
    expect(lines).toContain("nexus_watch_subscribers 4");
    expect(lines).toContain("nexus_refresh_queue_lag_seconds 1.5");
    expect(lines).toContain("nexus_refreshes_running 2");
    expect(lines).toContain("nexus_refreshes_waiting 3");
    expect(lines).toContain("nexus_time_seconds 1800000000.5");
    expect(lines).toContain("nexus_tls_certificate_expiry_timestamp_seconds 1900000000");
    certificateEnds = undefined;
    const without = (line: string): boolean => line.startsWith("nexus_tls_certificate");
    expect((await linesOf(metrics)).filter(without)).toEqual([]);
  });

  it("keeps the registries of two daemons apart", async () => {
    const one = new Metrics({ version: "1" });
    const other = new Metrics({ version: "1" });
    one.refreshed("github", "success", "", 1);
    expect((await other.render()).body).not.toContain("github");
  });

  it("bounds the values of its labels", async () => {
    const metrics = new Metrics({ version: "1" });
    for (let i = 0; i < 300; i++) metrics.refreshed(`p${i}`, "success", "", 1);
    const series = (await linesOf(metrics)).filter((line) => line.startsWith("nexus_refresh_total{"));
    expect(series).toHaveLength(201);
    expect(series).toContain('nexus_refresh_total{provider="other",result="success",reason=""} 100');
  });
});

it("LabelValues keeps what it knows", () => {
  const values = new LabelValues(2);
  expect(["a", "b", "c", "a"].map((value) => values.bound(value))).toEqual(["a", "b", "other", "a"]);
});
