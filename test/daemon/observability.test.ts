import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Authority } from "../fakes/certificates.js";
import { needs } from "../needs.js";
import { json } from "../oauth/scripted_server.js";
import { daemonExpressions, dashboard, Samples } from "../observability/expressions.js";
import { promtool } from "../observability/promtool.js";
import { writePair } from "../server/tls_fixture.js";
import { temporaryFolder } from "../temporary_folder.js";
import { failureOf } from "./errors.js";
import { Watcher } from "./harness.js";
import { ScriptedWorld } from "./scripted_world.js";

/** Has no samples while no request to the system is under way. */
const mayBeEmpty = ["nodejs_active_requests"];

describe("the metrics of a daemon that has worked", () => {
  let world: ScriptedWorld;
  let text = "";
  let samples: Samples;

  const scrape = async (): Promise<string> => await (await fetch(`${world.place.opsUrl}/metrics`)).text();

  beforeAll(async () => {
    const { certFile, keyFile } = writePair(temporaryFolder(), new Authority("metrics").issueServer());
    world = await ScriptedWorld.make({
      NEXUS_TLS_CERT_FILE: certFile,
      NEXUS_TLS_KEY_FILE: keyFile,
      NEXUS_TLS_LISTENERS: "grpc",
    });
    const id = await world.connect(await world.register({ name: "acme" }));
    const watcher = new Watcher(world.clients.tokens, {});
    await watcher.next();
    expect((await world.refresh(id)).status).toBe(200);
    world.answerToken = () => json({ error: "invalid_grant" }, 400);
    await world.refresh(id);
    await failureOf(world.clients.tokens.getToken({ connectionId: id }));
    // The first answer has no statistics of the event loop; garbage is collected now and then, so ask for it.
    await scrape();
    const held: number[][] = [];
    do {
      for (let i = 0; i < 50; i++) held.push(new Array<number>(100_000).fill(i));
      held.length = 0;
      text = await scrape();
    } while (!text.includes("nodejs_gc_duration_seconds_count"));
    samples = new Samples(text);
    watcher.cancel();
  }, 60_000);
  afterAll(() => world.close());

  it("all have a value", () => {
    const families = [...text.matchAll(/^# TYPE (\S+) (\w+)$/gm)].map(([, name = "", kind]) =>
      kind === "histogram" || kind === "summary" ? `${name}_count` : name,
    );
    expect(families.length).toBeGreaterThan(35);
    expect(families.filter((name) => samples.of(name).length === 0 && !mayBeEmpty.includes(name))).toEqual(
      [],
    );
    for (const told of [
      /^nexus_refresh_total\{provider="acme",result="success",reason=""\} 1$/m,
      /^nexus_refresh_total\{provider="acme",result="failure",reason="invalid_grant"\} 1$/m,
      /^nexus_watch_subscribers 1$/m,
      /^nexus_store_commit_duration_seconds_count [1-9]/m,
      /^nexus_unwritten_token_sets 0$/m,
      /^nexus_spooled_token_sets_total\{outcome="data_loss"\} 0$/m,
      /^nexus_tls_certificate_expiry_timestamp_seconds 1\d{9}/m,
      /^nexus_connections\{status="attention"\} 1$/m,
    ])
      expect(text).toMatch(told);
  });

  it("are named, helped and measured as Prometheus's own tool wants it, without a warning", (context) => {
    needs(context, "promtool");
    expect(promtool(["check", "metrics"], text)).toEqual({ code: 0, output: "" });
    // The tool does complain.
    expect(promtool(["check", "metrics"], "# TYPE a_total gauge\na_total 1\n").output).toContain("_total");
  });

  it.each(daemonExpressions)("hold what is asked for by %s: %s", (_title, expr) =>
    samples.expectToHold(expr),
  );

  it("are shown by a dashboard whose panels have a data source to choose, a title and a unit", () => {
    const [source] = dashboard.templating.list;
    expect(source).toMatchObject({ name: "datasource", type: "datasource" });
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    expect(new Set(dashboard.panels.map(({ title }) => title)).size).toBe(dashboard.panels.length);
    for (const { title, datasource, fieldConfig, targets, gridPos } of dashboard.panels) {
      expect(title).not.toBe("");
      for (const { uid } of [datasource, ...targets.map((target) => target.datasource)])
        expect(uid, title).toBe("$" + "{datasource}");
      expect(fieldConfig.defaults.unit, title).toMatch(/^\w+$/);
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      expect(targets.length, title).toBeGreaterThan(0);
    }
    const cells = dashboard.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`),
    );
    expect(new Set(cells).size, "no panel lies on another").toBe(cells.length);
  });

  it("are all shown or watched, where they are the daemon's own", () => {
    expect(samples.unasked(daemonExpressions)).toEqual([]);
  });
});
