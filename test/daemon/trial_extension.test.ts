import { once } from "node:events";
import { get } from "node:http";
import { expect, it, onTestFinished } from "vitest";
import { ExtensionSettings, loadConfig } from "../../src/config/config.js";
import { addresses } from "../../src/config/kinds/address_kinds.js";
import { text } from "../../src/config/kinds/setting_kinds.js";
import type { Core } from "../../src/core/core.js";
import type { Extension, Registry } from "../../src/core/registry.js";
import type { Daemon } from "../../src/daemon/daemon.js";
import { extensions } from "../../src/ext/extensions.js";
import { SystemClock } from "../../src/runtime/clock.js";
import { HttpListener } from "../../src/server/listen/http_listener.js";
import { ExtensionTable } from "../../src/store/lmdb/table.js";
import { violationsIn } from "../config/violations.js";
import { freePort } from "../free_port.js";
import { Place } from "./harness.js";

declare module "../../src/model/access/audit_event.js" {
  interface ExtensionAuditEvents {
    "trial.noted": true;
  }
}

const notes = new ExtensionTable<string>("trial_notes");

const groups = {
  Trial: {
    NEXUS_TRIAL_LISTEN: { kind: addresses({ canClose: true }), default: "off", meaning: "Its addresses." },
    NEXUS_TRIAL_GREETING: { kind: text("text"), default: "hello", meaning: "What it answers." },
  },
} as const;

const settings = new ExtensionSettings(
  groups,
  (reader) => {
    const get = reader.of<typeof groups>();
    return { listen: get("NEXUS_TRIAL_LISTEN"), greeting: get("NEXUS_TRIAL_GREETING") };
  },
  { listener: { name: "trial", usesTls: true, isForCallers: false } },
);

/** Counts who asks, in a table and in the audit log. */
const trial: Extension = { name: "trial", settings, tables: [notes], open: opened };

async function opened({ config, store, clock }: Core, registry: Registry): Promise<void> {
  const { listen: places, greeting } = settings.of(config);
  const headers = { "content-type": "text/plain" };
  const answer = async () => {
    const count = await store.commit((tx) => {
      tx.appendAudit({ timeMs: clock.nowMs(), type: "trial.noted", principal: "anyone" });
      return tx.raw((databases) => {
        const table = notes.of(databases);
        const next = (table.getBinary("count")?.[0] ?? 0) + 1;
        table.putSync("count", new Uint8Array([next]));
        return next;
      });
    });
    return { status: 200, headers, body: `${greeting} ${count}` };
  };
  const internalError = { status: 500, headers, body: "" };
  registry.listener(() => ({
    name: "trial",
    make: (place) =>
      places.map(
        (listen) => new HttpListener({ ...place, listen, listener: "trial", answer, internalError }),
      ),
  }));
}

const known: readonly Extension[] = [...extensions, trial];
const configOf = (environment: NodeJS.ProcessEnv) => loadConfig(environment, {}, { isTTY: false }, known);

async function read(url: string): Promise<string> {
  const [response] = await once(get(url, { agent: false }), "response");
  return (await response.setEncoding("utf8").toArray()).join("");
}

it("an extension has a setting, a listener, a table, and an audit event, of which the core knows nothing", async () => {
  const place = await Place.make();
  const address = `127.0.0.1:${await freePort()}`;
  const environment = {
    ...{ ...place.environment, NEXUS_TRIAL_LISTEN: address },
    NEXUS_TRIAL_GREETING: "good morning",
  };
  let running: Daemon | undefined;
  const start = async (
    config = configOf(environment),
    its: readonly Extension[] = known,
  ): Promise<Daemon> => {
    running = await place.startWith({ config, environment, clock: new SystemClock() }, its);
    return running;
  };
  const stop = async (): Promise<void> => {
    await running?.stop();
    running = undefined;
  };
  onTestFinished(stop);
  const first = await start();
  expect(first.listeners.addresses["trial"]).toEqual([address]);
  expect(await read(`http://${address}`)).toBe("good morning 1");
  expect(await read(`http://${address}`)).toBe("good morning 2");
  await stop();

  // Also over a start of a program that has no such extension.
  await start(place.config, extensions);
  const { events } = await place.clients().audit.listAuditEvents({ eventType: "trial.noted" });
  expect(events.map(({ principal }) => principal)).toEqual(["anyone", "anyone"]);
  await stop();

  await start();
  expect(await read(`http://${address}`)).toBe("good morning 3");
  expect(violationsIn(() => configOf({ ...environment, NEXUS_TRIAL_LISTEN: "0.0.0.0:1" }))).toEqual([
    expect.stringContaining("the trial listener would speak plain text beyond this machine"),
  ]);
});
