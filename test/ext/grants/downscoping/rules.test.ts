import { beforeAll, expect, it } from "vitest";
import { ReadAudit } from "../../../../src/domain/reading/reading.js";
import { DownscopedTokens } from "../../../../src/ext/grants/downscoping/downscoped_tokens.js";
import { Changes } from "../../../../src/runtime/changes.js";
import { agent, cellsOf, policyOf, wordFor } from "../../../domain/access/rule_cells.js";
import { Engine } from "../../../domain/engine.js";
import { perSuite } from "../../../lifetimes.js";
import { silentLog } from "../../../silent_log.js";

const engine = perSuite(() => new Engine());
let id = "";
beforeAll(async () => {
  id = (await engine.connected()).id;
});

it.each(cellsOf("nothing"))("a downscoped token under $rules: $expected", async ({ rules, expected }) => {
  engine.access.setPolicy(policyOf(rules));
  const { store, tokens, clock } = engine;
  const downscopedAudit = new ReadAudit({ store, clock, log: silentLog });
  const parts = { store, tokens, clock, downscopedAudit, changes: new Changes() };
  const downscoped = new DownscopedTokens(parts as never);
  const asked = { audience: "billing", resource: "", scopes: [] };
  // What is let through comes as far as the profile, which has no exchange.
  const attempt = downscoped.get(id, asked, 0, agent).catch((error) => {
    if (error.reason !== "TOKEN_EXCHANGE_OFF") throw error;
  });
  expect(await wordFor(attempt)).toBe(expected);
});
