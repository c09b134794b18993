import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { needs } from "../needs.js";
import { type AlertCase, alertCases } from "./alert_cases.js";
import { dashboard } from "./expressions.js";
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
