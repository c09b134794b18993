import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Core } from "../../../src/core/core.js";
import { type Part, Registry, StartRefused } from "../../../src/core/registry.js";
import { memory } from "../../../src/ext/memory/extension.js";
import { sessionTable } from "../../../src/ext/memory/session_table.js";
import { policy } from "../../../src/ext/policy/extension.js";
import { Engine } from "../../domain/engine.js";
import { silentLog } from "../../silent_log.js";
import { temporaryFolder } from "../../temporary_folder.js";

const sets = "rules:\n  - then: allow\n    label: [private]\n";
const reads = `rules:\n  - when: '"private" in session.labels'\n    then: deny\n`;

/** What becomes of a daemon with this policy file. */
async function started(text: string, member: object | undefined, isForgetful = false): Promise<string> {
  const engine = new Engine(temporaryFolder(), undefined, { tables: [sessionTable] });
  const path = join(temporaryFolder(), "policy.yaml");
  writeFileSync(path, text);
  const registry = new Registry();
  const { store, keys, access: control, rules, changes, clock } = engine;
  const explainer = { warnings: () => [] };
  const metrics = { addGauge: () => undefined, addCounter: () => () => undefined };
  const core = {
    ...{ config: { access: { policyFile: path } }, access: { keys, control, rules, explainer } },
    ...{ store, changes, clock, member, metrics, log: silentLog },
  } as unknown as Core;
  if (!isForgetful) await memory.open?.(core, registry);
  engine.memory = registry.registeredMemory();
  await policy.open?.(core, registry);
  const [reloader] = registry.added.parts as [Part];
  try {
    await reloader.start?.();
    return "started";
  } catch (error) {
    if (error instanceof StartRefused) return error.message.replace(path, "FILE");
    throw error;
  } finally {
    await reloader.stop?.();
    await engine.close();
  }
}

it.each([
  [
    "sets labels",
    sets,
    {},
    false,
    /FILE:2:1: a rule sets or reads labels of sessions: a fleet or a spoke keeps none/,
  ],
  [
    "reads labels",
    reads,
    {},
    false,
    /FILE:2:1: a rule sets or reads labels of sessions: a fleet or a spoke keeps none/,
  ],
  ["sets labels", sets, undefined, true, /FILE:2:1: .*: this daemon remembers nothing of sessions/],
  ["has other rules", "rules: [{ then: allow }]\n", {}, false, /^started$/],
  ["sets labels", sets, undefined, false, /^started$/],
] as const)("a policy that %s ends as it should (%#)", async (_, text, member, isForgetful, ending) => {
  expect(await started(text, member, isForgetful)).toMatch(ending);
});
