import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse } from "yaml";
import { Authority } from "../fakes/certificates.js";
import { needs } from "../needs.js";
import { json } from "../oauth/scripted_server.js";
import { promtool } from "../observability/promtool.js";
import { writePair } from "../server/tls_fixture.js";
import { temporaryFolder } from "../temporary_folder.js";
import { failureOf } from "./errors.js";
import { Watcher } from "./harness.js";
import { ScriptedWorld } from "./scripted_world.js";

const folder = join(import.meta.dirname, "../../deploy/observability");

interface Target {
  readonly expr: string;
}
interface Panel {
  readonly id: number;
  readonly title: string;
  readonly datasource: { readonly type: string; readonly uid: string };
  readonly fieldConfig: { readonly defaults: { readonly unit?: string } };
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets: readonly (Target & { readonly datasource: { readonly uid: string } })[];
}
interface Dashboard {
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly templating: {
    readonly list: readonly { readonly name: string; readonly type: string; readonly definition?: string }[];
  };
}

const dashboard = JSON.parse(readFileSync(join(folder, "dashboard.json"), "utf8")) as Dashboard;
const alerts = (
  parse(readFileSync(join(folder, "alerts.yaml"), "utf8")) as {
    groups: { rules: (Target & { alert: string })[] }[];
  }
).groups.flatMap(({ rules }) => rules);

/** Has no samples while no request to the system is under way. */
const mayBeEmpty = ["nodejs_active_requests"];

/** What Prometheus itself adds: the series of a scrape, and the labels of its target. */
const addedSeries = ["up"];
const addedLabels = ["job", "instance"];

describe("the metrics of a daemon that has worked", () => {
  let world: ScriptedWorld;
  let text = "";
  /** Lines with a value. */
  let samples: string[];

  const scrape = async (): Promise<string> => await (await fetch(`${world.place.opsUrl}/metrics`)).text();

  beforeAll(async () => {
    const { certFile, keyFile } = writePair(temporaryFolder(), new Authority("metrics").issueServer());
    world = await ScriptedWorld.make({
      NEXUS_TLS_CERT_FILE: certFile,
      NEXUS_TLS_KEY_FILE: keyFile,
      NEXUS_TLS_DOORS: "grpc",
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
    samples = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    watcher.cancel();
  }, 60_000);
  afterAll(() => world.close());

  /** Samples of a series, by the name that an expression uses. */
  const samplesOf = (name: string): string[] =>
    samples.filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));

  it("all have a value", () => {
    const families = [...text.matchAll(/^# TYPE (\S+) (\w+)$/gm)].map(([, name = "", kind]) =>
      kind === "histogram" || kind === "summary" ? `${name}_count` : name,
    );
    expect(families.length).toBeGreaterThan(35);
    expect(families.filter((name) => samplesOf(name).length === 0 && !mayBeEmpty.includes(name))).toEqual([]);
    for (const told of [
      /^nexus_refresh_total\{provider="acme",result="success",reason=""\} 1$/m,
      /^nexus_refresh_total\{provider="acme",result="failure",reason="invalid_grant"\} 1$/m,
      /^nexus_watch_subscribers 1$/m,
      /^nexus_store_commit_duration_seconds_count [1-9]/m,
      /^nexus_unwritten_token_sets 0$/m,
      /^nexus_rescued_token_sets_total\{outcome="data_loss"\} 0$/m,
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

  const expressions = [
    ...alerts.map(({ alert, expr }) => [alert, expr] as const),
    ...dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr] as const)),
    ...dashboard.templating.list.flatMap(({ name, definition }) =>
      definition === undefined ? [] : [[`variable ${name}`, definition] as const],
    ),
  ];

  it.each(expressions)("hold what is asked for by %s: %s", (_title, expr) => {
    const used = [...expr.matchAll(/\b((?:nexus|nodejs|process)_\w+|up)\b(?:\{([^}]*)\})?/g)];
    expect(used.length).toBeGreaterThan(0);
    const found = new Set<string>();
    for (const [, name = "", matchers = ""] of used) {
      if (addedSeries.includes(name)) continue;
      const series = samplesOf(name);
      expect(series.length, name).toBeGreaterThan(0);
      for (const line of series) for (const [, label = ""] of line.matchAll(/[{,](\w+)="/g)) found.add(label);
      for (const [, label = "", operator, value = ""] of matchers.matchAll(/(\w+)(=~|!=|=)"([^"]*)"/g)) {
        if (addedLabels.includes(label)) continue;
        const wanted = operator === "=" ? `${label}="${value}"` : `${label}="`;
        expect(
          series.some((line) => line.includes(wanted)),
          `${name}{${wanted}`,
        ).toBe(true);
      }
    }
    const grouped = [...expr.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, names = ""]) =>
      names.split(", "),
    );
    for (const label of grouped) expect([...addedLabels, ...found]).toContain(label);
  });

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
    const own = [...text.matchAll(/^# TYPE (nexus_\S+) /gm)].map(([, name = ""]) => name);
    expect(own.filter((name) => !expressions.some(([, expr]) => expr.includes(name)))).toEqual([]);
  });
});
