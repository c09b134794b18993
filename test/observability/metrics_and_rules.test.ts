import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { failureOf } from "../daemon/errors.js";
import { Watcher } from "../daemon/harness.js";
import { ScriptedWorld } from "../daemon/scripted_world.js";
import { Authority } from "../fakes/certificates.js";
import { needs } from "../needs.js";
import { json } from "../oauth/scripted_server.js";
import { writePair } from "../server/tls_fixture.js";
import { temporaryFolder } from "../temporary_folder.js";
import { type AlertCase, alertCases } from "./alert_cases.js";
import { daemonExpressions, dashboard, Samples } from "./expressions.js";
import { promtool, testRules } from "./promtool.js";

describe("alerts", () => {
  interface Alert {
    readonly alert: string;
    readonly expr: string;
    readonly labels: { readonly severity: string };
    readonly annotations: { readonly summary: string; readonly runbook: string };
  }

  const path = join(import.meta.dirname, "../../deploy/observability/alerts.yaml");
  const alerts = (parse(readFileSync(path, "utf8")) as { groups: { rules: Alert[] }[] }).groups.flatMap(
    ({ rules }) => rules,
  );

  const target = { job: "nexusd", instance: "pod" };

  /** `exp_alerts` of promtool at both times. */
  function ruleTest({ alert, series, quietAt, firesAt, labels, isOfJob = false }: AlertCase): string {
    const rule = alerts.find((candidate) => candidate.alert === alert);
    if (!rule) throw new Error(`no alert is called ${alert}`);
    const labelled = (all: Readonly<Record<string, string>>): string =>
      Object.entries({ ...target, ...all })
        .map(([name, value]) => `${name}="${value}"`)
        .join(",");
    const { job } = target;
    const fired = {
      exp_labels: { ...(isOfJob ? { job } : target), ...rule.labels, ...labels },
      exp_annotations: rule.annotations,
    };
    return stringify({
      rule_files: [path],
      evaluation_interval: "1m",
      tests: [
        {
          interval: "1m",
          input_series: series.map(([name, all, values]) => ({
            series: `${name}{${labelled(all)}}`,
            values,
          })),
          alert_rule_test: [
            { eval_time: `${quietAt}m`, alertname: alert, exp_alerts: [] },
            { eval_time: `${firesAt}m`, alertname: alert, exp_alerts: [fired] },
          ],
        },
      ],
    });
  }

  describe("the alert rules", () => {
    it("are taken by promtool", (context) => {
      needs(context, "promtool");
      const { code, output } = promtool(["check", "rules", path]);
      expect([code, output]).toEqual([0, expect.stringContaining(`SUCCESS: ${alerts.length} rules found`)]);
    });

    it.for(alertCases.map((each) => [`${each.alert}${each.name ? `, ${each.name},` : ""}`, each] as const))(
      "%s fires when it must and only then",
      ([, each], context) => {
        needs(context, "promtool");
        const { code, output } = testRules(ruleTest(each));
        expect([code, output]).toEqual([0, expect.stringContaining("SUCCESS")]);
      },
    );

    it("have a case each, a severity, what is wrong and what to do", () => {
      expect([...new Set(alertCases.map(({ alert }) => alert))]).toEqual(alerts.map(({ alert }) => alert));
      for (const { alert, labels, annotations } of alerts) {
        expect(["critical", "warning", "info"], alert).toContain(labels.severity);
        for (const text of [annotations.summary, annotations.runbook])
          expect(text, alert).toMatch(/^\w.+\.$/s);
      }
    });
  });
});

describe("the dashboard", () => {
  /** What panels of records show, by title: label sets with their values. */
  const shown: Readonly<Record<string, readonly (readonly [string, number])[]>> = {
    "Active connections": [["{}", 12]],
    "Need attention": [["{}", 3]],
    "Suspended providers": [["{}", 2]],
    "Connections by status": [
      ['{status="active"}', 12],
      ['{status="attention"}', 3],
    ],
  };

  /** Two daemons that are alone, two hubs of one fleet, the second a moment behind, and a spoke of it. */
  const values = (["nexusd/a", "nexusd/b", "fleet/one", "fleet/two", "spokes/pod"] as const).flatMap(
    (target, index) => {
      const [job, instance] = target.split("/");
      const at = `job="${job}",instance="${instance}"`;
      const count = (name: string, more: string, counts: readonly number[]) => ({
        series: `${name}{${at}${more}}`,
        values: String(counts[index]),
      });
      return [
        count("nexus_connections", ',status="active"', [1, 4, 7, 6, 7]),
        count("nexus_connections", ',status="attention"', [0, 1, 2, 2, 2]),
        count("nexus_providers_suspended", "", [0, 1, 1, 1, 0]),
        ...(job === "fleet" ? [count("nexus_fleet_leader", "", [0, 0, 1, 0, 0])] : []),
        ...(job === "spokes" ? [count("nexus_spoke_connected", "", [0, 0, 0, 0, 1])] : []),
      ];
    },
  );

  it.for(Object.entries(shown))("%s counts what hubs of a fleet share once", ([title, samples], context) => {
    needs(context, "promtool");
    const target = dashboard.panels.find((panel) => panel.title === title)?.targets[0];
    const expr = target?.expr.replaceAll(/\$(job|instance)/g, ".*");
    const { code, output } = testRules(
      stringify({
        tests: [
          {
            input_series: values,
            promql_expr_test: [
              { expr, eval_time: "0m", exp_samples: samples.map(([labels, value]) => ({ labels, value })) },
            ],
          },
        ],
      }),
    );
    expect([code, output]).toEqual([0, expect.stringContaining("SUCCESS")]);
  });

  it("shows every number of records so", () => {
    const titles = dashboard.panels
      .filter(({ targets }) =>
        targets.some(({ expr }) => /nexus_(connections|providers_suspended)\b/.test(expr)),
      )
      .map(({ title }) => title);
    expect(titles.sort()).toEqual(Object.keys(shown).sort());
  });
});

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
