import { expect, it } from "vitest";
import { stringify } from "yaml";
import { needs } from "../needs.js";
import { dashboard } from "./expressions.js";
import { testRules } from "./promtool.js";

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
