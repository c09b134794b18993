import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { parse } from "yaml";

const folder = join(import.meta.dirname, "../../deploy/observability");

interface Target {
  readonly expr: string;
}

export interface Panel {
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

export const dashboard = JSON.parse(readFileSync(join(folder, "dashboard.json"), "utf8")) as Dashboard;

const alerts = (
  parse(readFileSync(join(folder, "alerts.yaml"), "utf8")) as {
    groups: { rules: (Target & { alert: string })[] }[];
  }
).groups.flatMap(({ rules }) => rules);

/** What alerts, panels and variables ask for, each with its title. */
const expressions = [
  ...alerts.map(({ alert, expr }) => [alert, expr] as const),
  ...dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr] as const)),
  ...dashboard.templating.list.flatMap(({ name, definition }) =>
    definition === undefined ? [] : [[`variable ${name}`, definition] as const],
  ),
];

const withSeries = (prefix: string) => expressions.filter(([, expr]) => expr.includes(prefix));
/** Of a hub alone, and of a spoke: another daemon has none of their series. */
export const fleetExpressions = withSeries("nexus_fleet_");
export const spokeExpressions = withSeries("nexus_spoke_");
/** Of every daemon: also what looks at the series of fleets and spokes to tell their daemons from others. */
export const daemonExpressions = expressions.filter(
  (each) =>
    /nexus_(connections|providers_suspended)/.test(each[1]) ||
    !(fleetExpressions.includes(each) || spokeExpressions.includes(each)),
);

/** What Prometheus itself adds: the series of a scrape, and the labels of its target. */
const addedSeries = ["up"];
const addedLabels = ["job", "instance"];

/** Series that only a daemon of a kind has: an expression may name them to tell others from it. */
const ofKinds = ["nexus_fleet_", "nexus_spoke_"];

/** Lines of an answer of `/metrics` that have a value. */
export class Samples {
  readonly #lines: readonly string[];

  constructor(readonly text: string) {
    this.#lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  }

  /** Samples of a series, by the name that an expression uses. */
  of(name: string): string[] {
    return this.#lines.filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  }

  /** The daemon's own series that nothing asks for. */
  unasked(asked: readonly (readonly [string, string])[]): string[] {
    const own = [...this.text.matchAll(/^# TYPE (nexus_\S+) /gm)].map(([, name = ""]) => name);
    return own.filter((name) => !asked.some(([, expr]) => expr.includes(name)));
  }

  /** Fails where an expression asks for a series or a label that is not there. */
  expectToHold(expr: string): void {
    const used = [...expr.matchAll(/\b((?:nexus|nodejs|process)_\w+|up)\b(?:\{([^}]*)\})?/g)];
    expect(used.length).toBeGreaterThan(0);
    const found = new Set<string>();
    for (const [, name = "", matchers = ""] of used) {
      const isOfOthers = ofKinds.some((kind) => name.startsWith(kind) && !this.text.includes(kind));
      if (addedSeries.includes(name) || isOfOthers) continue;
      const series = this.of(name);
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
  }
}
