import { expect, it } from "vitest";
import { loadConfig } from "../../../src/config/config.js";
import { Registry } from "../../../src/core/registry.js";
import { PasskeyPages } from "../../../src/ext/approvals/open_passkeys.js";
import { extensions } from "../../../src/ext/extensions.js";

const url = { NEXUS_APPROVALS_URL: "https://approve.example" };
const spoke = { leads: false, memoryRefusal: undefined, catchUp: () => Promise.resolve() };
const hub = { ...spoke, page: (_visit: unknown, own: () => Promise<never>) => own() };

it.each([
  ["a spoke", spoke, url, "a spoke has no pages for passkeys"],
  ["a hub without their address", hub, {}, "NEXUS_APPROVALS_URL is required in a fleet"],
])("%s does not start with these pages", async (_what, member, settings, words) => {
  const environment = { NEXUS_APPROVALS_LISTEN: "127.0.0.1:0", ...settings };
  const config = loadConfig(environment, {}, { isTTY: false }, extensions);
  const core = { config, member, changes: { on: () => undefined } } as never;
  const registered = new PasskeyPages(core, false).register(core, new Registry(), {} as never);
  await expect(registered).rejects.toThrow(words);
});
