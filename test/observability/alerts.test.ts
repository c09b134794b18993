import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { needs } from "../needs.js";
import { type AlertCase, alertCases } from "./alert_cases.js";
import { promtool, testRules } from "./promtool.js";

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
        input_series: series.map(([name, all, values]) => ({ series: `${name}{${labelled(all)}}`, values })),
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
      for (const text of [annotations.summary, annotations.runbook]) expect(text, alert).toMatch(/^\w.+\.$/s);
    }
  });
});
