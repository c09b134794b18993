// Writes into the schema of the Helm chart what it takes from tables of the code: the names of settings, and the fields of a profile.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { allSettings } from "../src/config/settings.js";
import { extensions } from "../src/ext/extensions.js";
import { profileKeys } from "../src/ext/manifest/manifest.js";

const file = "deploy/helm/nexusd/values.schema.json";

/** The schema with the names of today in place of those in `text`. */
export function chartSchema(text: string): string {
  const schema = JSON.parse(text) as { definitions: Record<string, object> };
  const names = allSettings(extensions).map(({ name }) => name);
  // OpenTelemetry reads more of its own than nexusd does.
  schema.definitions["settingName"] = { anyOf: [{ enum: names }, { pattern: "^OTEL_[A-Z0-9_]+$" }] };
  schema.definitions["profileField"] = { enum: profileKeys };
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}

if (process.argv[1] === import.meta.filename) {
  const path = join(process.argv[2] ?? ".", file);
  writeFileSync(path, chartSchema(readFileSync(file, "utf8")));
}
