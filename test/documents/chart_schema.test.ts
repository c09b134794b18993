import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { chartSchema } from "../../scripts/chart_schema.js";

it("has the names of settings and the fields of profiles in the schema of the chart", () => {
  const text = readFileSync(join(import.meta.dirname, "../../deploy/helm/nexusd/values.schema.json"), "utf8");
  expect(JSON.parse(text)).toEqual(JSON.parse(chartSchema(text)));
});
