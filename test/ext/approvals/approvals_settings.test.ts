import { expect, it } from "vitest";
import { loadConfig } from "../../../src/config/config.js";
import { approvalsSettings } from "../../../src/ext/approvals/approvals_settings.js";
import { approvals } from "../../../src/ext/approvals/extension.js";
import { violationsIn } from "../../config/violations.js";

const load = (env: Record<string, string>) =>
  loadConfig({ NEXUS_DATA_DIR: "/data", ...env }, {}, { isTTY: false }, [approvals]);
const violationsOf = (env: Record<string, string>) => violationsIn(() => load(env));
const open = { NEXUS_APPROVALS_LISTEN: "127.0.0.1:8099" };

it("has no pages for passkeys where nothing is said", () => {
  expect(approvalsSettings.of(load({}))).toEqual({ listen: [], url: undefined, needsPasskey: false });
  expect(violationsOf({ ...open, NEXUS_APPROVALS_URL: "https://approve.example" })).toEqual([]);
});

it.each(["https://10.0.0.1", "https://[::1]:8099", "http://approve.example", "https://approve.example/x"])(
  "does not take %j for its URL",
  (NEXUS_APPROVALS_URL) => {
    expect(violationsOf({ ...open, NEXUS_APPROVALS_URL })).toEqual([
      expect.stringContaining("NEXUS_APPROVALS_URL"),
    ]);
  },
);

it("does not ask for passkeys that nobody could show, nor for plain text beyond this machine", () => {
  const needs = { NEXUS_APPROVALS_REQUIRE_PASSKEY: "true" };
  expect(violationsOf(needs)).toEqual([expect.stringContaining("needs NEXUS_APPROVALS_LISTEN")]);
  expect(violationsOf({ ...needs, ...open })).toEqual([]);
  expect(violationsOf({ NEXUS_APPROVALS_LISTEN: "0.0.0.0:8099" })).toEqual([
    expect.stringContaining("would speak plain text beyond this machine"),
  ]);
});
