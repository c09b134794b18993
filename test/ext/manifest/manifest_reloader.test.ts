import { beforeEach, describe, expect, it } from "vitest";
import { ManifestReloader } from "../../../src/ext/manifest/manifest_reloader.js";
import type { KeptRegistry } from "../../../src/ext/manifest/registry_target.js";
import { Aborted, InvalidArgument } from "../../../src/model/errors.js";
import { profileOfContract } from "../../../src/model/providers/contract_profile.js";
import type { ProviderProfile } from "../../../src/model/providers/provider_profile.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { perTest } from "../../lifetimes.js";
import { silentLog } from "../../silent_log.js";

const key = (name: string) => `  - {name: ${name}, auth_type: api_key}\n`;

describe("the keeper of a providers file", () => {
  let text: string;
  let notice: () => void;
  let failure: unknown;
  let refused: string;
  const lines: { level: string; message: string; fields: Record<string, unknown> }[] = [];
  const writes: string[] = [];

  const profiles = new Map<string, ProviderProfile>();
  const stored = (name: string): ProviderProfile => ({
    ...profileOfContract({ name, auth_type: "api_key" }).settings,
    id: `id-${name}`,
    clientSecret: undefined,
    createdAtMs: 0,
    updatedAtMs: 0,
    version: 7n,
    redirectPath: "",
  });
  const registry: KeptRegistry = {
    list: () => [...profiles.values()],
    check: ({ name }) => {
      if (name === refused)
        throw new InvalidArgument([{ field: "provider.credential_schema", description: "no" }]);
    },
    holdsSecret: () => true,
    create: async ({ name }, _secret, principal) => {
      if (failure) throw failure;
      writes.push(`create ${name} by ${principal.name}`);
      profiles.set(name, stored(name));
      return stored(name);
    },
    update: async (id, { settings }, version, principal) => {
      writes.push(`update ${id} at ${version} by ${principal.name}: ${Object.keys(settings)}`);
    },
    delete: async (id, principal) => {
      writes.push(`delete ${id} by ${principal.name}`);
    },
  };
  const file = {
    path: "/p.yaml",
    read: async () => text,
    watch: async (changed: () => void) => {
      notice = changed;
    },
    close: () => {},
  };
  const log = (level: string) => (fields: object, message: string) =>
    void lines.push({ level, message, fields: fields as Record<string, unknown> });
  const keeper = perTest(
    () =>
      new ManifestReloader({
        path: file.path,
        file,
        registry,
        trial: { warnings: async ({ name }) => (name === "down" ? ["it is down"] : []) },
        variables: {},
        clock: new ManualClock(0),
        log: { ...silentLog, info: log("info"), warn: log("warn"), error: log("error") },
      }),
  );

  beforeEach(() => {
    failure = undefined;
    refused = "";
    profiles.clear();
    lines.length = 0;
    writes.length = 0;
  });

  it("warns of a provider whose discovery fails, and does not wait for it", async () => {
    text = `providers:\n${key("down")}${key("up")}`;
    await keeper.start();
    await new Promise(setImmediate);
    expect(lines.filter(({ level }) => level === "warn")).toEqual([
      {
        level: "warn",
        message: "a provider of the providers file cannot be used yet",
        fields: { file: "/p.yaml", provider: "down", warnings: ["it is down"] },
      },
    ]);
  });

  it("writes as the daemon, over the version that it read", async () => {
    profiles.set("b", stored("b"));
    profiles.set("c", stored("c"));
    text = `prune: true\nproviders:\n${key("a")}  - {name: b, auth_type: api_key, category: x}\n`;
    await keeper.start();
    expect(writes).toEqual([
      "create a by daemon",
      "update id-b at 7 by daemon: category",
      "delete id-c by daemon",
    ]);
  });

  it("looks at events whose text is the same, and does nothing", async () => {
    text = `providers:\n${key("a")}`;
    await keeper.start();
    notice();
    await new Promise(setImmediate);
    expect(lines.filter(({ level }) => level === "info")).toHaveLength(1);
  });

  it("judges every profile as the registry does before it writes the first", async () => {
    refused = "b";
    text = `providers:\n${key("a")}${key("b")}`;
    await keeper.start();
    expect(writes).toEqual([]);
    expect(lines).toMatchObject([
      { level: "error", fields: { violations: ["/p.yaml:3:5: credential_schema: no"] } },
    ]);
  });

  it("says what was done when a write is refused, and tries the same text again", async () => {
    failure = new Aborted("the provider profile has changed since it was read: read it again");
    text = `providers:\n${key("a")}`;
    await keeper.start();
    expect(lines).toMatchObject([{ level: "error", message: "the providers file was applied in part" }]);
    for (let event = 0; event < 3; event++) {
      notice();
      await new Promise(setImmediate);
    }
    expect(lines).toHaveLength(1);
    failure = undefined;
    notice();
    await new Promise(setImmediate);
    expect(writes).toEqual(["create a by daemon"]);
  });

  it("outlives what nobody expected", async () => {
    const list = registry.list;
    Object.assign(registry, {
      list: () => {
        throw new Error("disk");
      },
    });
    text = `providers:\n${key("a")}`;
    await keeper.start();
    expect(lines).toMatchObject([{ level: "error", message: "the providers file could not be applied" }]);
    Object.assign(registry, { list });
    await keeper.reload();
    expect(writes).toEqual(["create a by daemon"]);
  });
});
