import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { Core } from "../../../src/core/core.js";
import { type Part, Registry, StartRefused } from "../../../src/core/registry.js";
import { memory } from "../../../src/ext/memory/extension.js";
import { sessionTable, useTable } from "../../../src/ext/memory/tables.js";
import { policy } from "../../../src/ext/policy/extension.js";
import { owner } from "../../../src/model/access/principal.js";
import { Engine } from "../../domain/engine.js";
import { silentLog } from "../../silent_log.js";
import { temporaryFolder } from "../../temporary_folder.js";

const sets = "rules:\n  - then: allow\n    label: [private]\n";
const limits = "rules:\n  - then: allow\n    uses: 20\n";
const refusing = { memoryRefusal: "a spoke keeps no labels" };
const hub = { memoryRefusal: undefined };
const reads = `rules:\n  - when: '"private" in session.labels'\n    then: deny\n  - then: allow\n    label: [private]\n`;

/** What becomes of a daemon with this policy file. */
async function started(text: string, member: object | undefined, isForgetful = false): Promise<string> {
  const engine = new Engine(temporaryFolder(), undefined, { tables: [sessionTable, useTable] });
  const path = join(temporaryFolder(), "policy.yaml");
  writeFileSync(path, text);
  const registry = new Registry();
  const { store, keys, access: control, rules, changes, clock } = engine;
  const explainer = { warnings: () => [] };
  const metrics = { addGauge: () => undefined, addCounter: () => () => undefined };
  const core = {
    ...{
      config: { access: { policyFile: path }, extensions: new Map() },
      access: { keys, control, rules, explainer },
    },
    ...{ store, changes, clock, member, metrics, log: silentLog },
  } as unknown as Core;
  if (!isForgetful) await memory.open?.(core, registry);
  engine.memory = registry.registeredMemory();
  engine.uses = registry.registeredUses();
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
    refusing,
    false,
    /FILE:2:1: a rule sets or reads labels of sessions: a spoke keeps no labels/,
  ],
  [
    "reads labels",
    reads,
    refusing,
    false,
    /FILE:2:1: a rule sets or reads labels of sessions: a spoke keeps no labels/,
  ],
  ["sets labels", sets, undefined, true, /FILE:2:1: .*: this daemon remembers nothing of sessions/],
  ["limits uses", limits, refusing, false, /FILE:2:1: a rule limits uses: a spoke keeps no labels/],
  ["sets labels", sets, hub, false, /^started$/],
  ["limits uses", limits, hub, false, /^started$/],
  ["limits uses", limits, undefined, true, /FILE:2:1: a rule limits uses: this daemon counts no uses/],
  ["limits uses", limits, undefined, false, /^started$/],
  ["has other rules", "rules: [{ then: allow }]\n", refusing, false, /^started$/],
  ["sets labels", sets, undefined, false, /^started$/],
] as const)("a policy that %s ends as it should (%#)", async (_, text, member, isForgetful, ending) => {
  expect(await started(text, member, isForgetful)).toMatch(ending);
});

it("a daemon that counts no uses exactly starts with no key that has a limit", async () => {
  const engine = new Engine(temporaryFolder(), undefined, { tables: [sessionTable, useTable] });
  const wanted = { role: "agent", restriction: { userIds: ["*"] }, expiresAtMs: undefined } as const;
  const uses = { uses: 2, perMs: undefined };
  const { store, keys, access: control, rules, changes, clock } = engine;
  const opened = async (member: object | undefined): Promise<string> => {
    const core = {
      ...{ config: { access: {} }, access: { keys, control, rules } },
      ...{ store, changes, clock, member, log: silentLog },
    } as unknown as Core;
    const registry = new Registry();
    return await (memory.open?.(core, registry) ?? Promise.resolve()).then(
      () => `${registry.registeredUses()?.refusal ?? "exact"}`,
      (error: unknown) => (error instanceof StartRefused ? error.message : String(error)),
    );
  };
  try {
    await keys.create({ ...wanted, name: "free" }, owner);
    expect(await opened(refusing)).toBe("a spoke keeps no labels");
    await keys.create({ ...wanted, name: "few", uses }, owner);
    expect([await opened(undefined), await opened(hub), await opened(refusing)]).toEqual([
      "exact",
      "exact",
      "the API key few has a limit of uses: a spoke keeps no labels. Or revoke the key",
    ]);
    await keys.revoke({ name: "few" }, owner);
    expect(await opened(refusing)).toBe("a spoke keeps no labels");
  } finally {
    await engine.close();
  }
});
