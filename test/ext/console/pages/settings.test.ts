import { expect, it } from "vitest";
import { allSettings, commandGroup } from "../../../../src/config/settings.js";
import { settingsOf } from "../../../../src/ext/console/pages/settings.js";
import { extensions } from "../../../../src/ext/extensions.js";

const settings = allSettings(extensions);
const shown = (environment: NodeJS.ProcessEnv, given: readonly string[] = []) =>
  new Map(settingsOf(settings, environment, given).map((each) => [each.name as string, each]));

it("says of each setting where it comes from, the command line before the environment", () => {
  const environment = { NEXUS_LOG_LEVEL: "debug", NEXUS_OPS_LISTEN: " 127.0.0.1:1 " };
  const of = shown(environment, ["serve", "--log-level=warn", "--browser-listen", "127.0.0.1:2"]);
  expect(of.get("NEXUS_LOG_LEVEL")).toMatchObject({ value: "warn", source: "command line" });
  expect(of.get("NEXUS_BROWSER_LISTEN")).toMatchObject({ value: "127.0.0.1:2", source: "command line" });
  expect(of.get("NEXUS_OPS_LISTEN")).toMatchObject({ value: "127.0.0.1:1", source: "environment" });
  expect(of.get("NEXUS_CONSOLE_LISTEN")).toMatchObject({ value: "127.0.0.1:0", source: "default" });
});

it("shows no secret, and no setting of the commands", () => {
  const secret = "s3cr3t-of-it";
  const all = Object.fromEntries(settings.map(({ name, kind }) => [name, kind.isHidden ? secret : ""]));
  const values = [...shown({ ...all, NEXUS_STORE: `postgres://u:${secret}@db/x` }).values()];
  expect(values.filter(({ value }) => value === "set, not shown").length).toBeGreaterThan(2);
  expect(JSON.stringify(values)).not.toContain(secret);
  expect(values.filter(({ group }) => group === commandGroup)).toEqual([]);
});
