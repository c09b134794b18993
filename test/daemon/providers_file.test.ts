// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables of manifests look like this
import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Daemon } from "../../src/daemon/daemon.js";
import { SystemClock } from "../../src/runtime/clock.js";
import { temporaryFolder } from "../temporary_folder.js";
import { Place } from "./harness.js";

const applied = "the providers file is applied";
const broken = "the providers file is broken: nothing was changed";
const unreadable = "the providers file cannot be read: nothing was changed";

const secrets = { FIRST_SECRET: "s3cret-one", SECOND_SECRET: "s3cret-two" };

function github(...lines: string[]): string {
  return [
    "  - name: github",
    "    client_id: id",
    "    auth_url: https://github.com/a",
    "    token_url: https://github.com/t",
    ...lines.map((line) => `    ${line}`),
    "",
  ].join("\n");
}

const one = `providers:\n${github("client_secret: ${FIRST_SECRET}")}`;

describe("the providers file", () => {
  let folder: string;
  let file: string;
  let place: Place;
  let daemon: Daemon | undefined;

  beforeEach(async () => {
    folder = temporaryFolder();
    file = join(folder, "providers.yaml");
    place = await Place.make({ NEXUS_PROVIDERS_FILE: file, ...secrets });
  });
  afterEach(async () => {
    for (const line of place.logLines) {
      for (const secret of Object.values(secrets)) expect(line).not.toContain(secret);
    }
    await daemon?.stop();
    daemon = undefined;
  });

  const start = async (): Promise<Daemon> => {
    daemon = await place.start(new SystemClock());
    return daemon;
  };
  /** The fields of the next line of the log that has this message. */
  const logged = (message: string): Promise<Record<string, unknown>> =>
    new Promise((resolve) => {
      place.logLines.push = (...lines) => {
        for (const line of lines) {
          const fields = JSON.parse(line) as Record<string, unknown>;
          if (fields["message"] === message) resolve(fields);
        }
        return Array.prototype.push.apply(place.logLines, lines);
      };
    });
  const lastOf = (message: string): Record<string, unknown> | undefined =>
    place.logLines
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .findLast((fields) => fields["message"] === message);
  const present = async () => {
    const { providers } = await place.clients().providers.listProviders({});
    return Object.fromEntries(providers.map((provider) => [provider.name, provider]));
  };
  const replace = (text: string): void => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };

  it("is applied before the listeners open", async () => {
    writeFileSync(file, one);
    await start();
    expect(await present()).toMatchObject({ github: { clientId: "id", clientSecretSet: true } });
    expect(lastOf(applied)).toMatchObject({ created: ["github"], updated: [], deleted: [], unchanged: 0 });
    const order = place.logLines.map((line) => (JSON.parse(line) as { message: string }).message);
    expect(order.indexOf(applied)).toBeLessThan(order.indexOf("nexusd is ready"));
  });

  it("is applied again when it is written and when an editor replaces it", async () => {
    writeFileSync(file, one);
    await start();
    let again = logged(applied);
    writeFileSync(file, one.replace("name: github", "name: github\n    scopes: [repo]"));
    expect(await again).toMatchObject({ updated: ["github"] });
    expect((await present())["github"]?.scopes).toEqual(["repo"]);
    again = logged(applied);
    replace(`${one}  - name: key\n    auth_type: api_key\n`);
    expect(await again).toMatchObject({ created: ["key"], updated: ["github"] });
    expect((await present())["github"]?.scopes).toEqual([]);
  });

  it("is applied again when Kubernetes turns the link of a ConfigMap", async () => {
    for (const [name, text] of [
      ["..1", one],
      ["..2", `${one}  - name: key\n    auth_type: api_key\n`],
    ] as const) {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, "providers.yaml"), text);
    }
    symlinkSync("..1", join(folder, "..data"));
    symlinkSync("..data/providers.yaml", file);
    await start();
    const again = logged(applied);
    symlinkSync("..2", join(folder, "..data_tmp"));
    renameSync(join(folder, "..data_tmp"), join(folder, "..data"));
    rmSync(join(folder, "..1"), { recursive: true });
    expect(await again).toMatchObject({ created: ["key"] });
  });

  it("changes nothing when it is broken, and says where", async () => {
    writeFileSync(file, one);
    await start();
    const refused = logged(broken);
    replace(
      `${one}  - name: key\n    auth_type: api_key\n    catgory: x\n    description: \${UNSET_VARIABLE}\n`,
    );
    expect((await refused)["violations"]).toEqual([
      expect.stringContaining(`${file}:9:5: catgory: is not a key`),
      `${file}:10:18: description: the variable UNSET_VARIABLE is not set`,
    ]);
    expect(Object.keys(await present())).toEqual(["github"]);
    const gone = logged(unreadable);
    rmSync(file);
    expect(await gone).toMatchObject({ code: "ENOENT" });
    const fixed = logged(applied);
    replace(one);
    expect(await fixed).toMatchObject({ unchanged: 1 });
  });

  it("lets the daemon start when it is broken, and not when it is missing", async () => {
    await expect(start()).rejects.toThrow(
      `the providers file ${file} cannot be read: there is no such file (ENOENT). Correct --providers (NEXUS_PROVIDERS_FILE), or leave it out`,
    );
    writeFileSync(file, "providers: [");
    await start();
    expect(lastOf(broken)).toMatchObject({
      violations: [expect.stringMatching(/:1:13: this is not indented/)],
    });
    expect(await present()).toEqual({});
  });

  it("leaves no key and no store behind where it refuses the first start, and all of them later", async () => {
    const names = () => readdirSync(place.config.dataDir).filter((name) => name !== "nexusd.lock");
    await expect(start()).rejects.toThrow("the providers file");
    expect(names()).toEqual([]);
    writeFileSync(file, one);
    await (await start()).stop();
    daemon = undefined;
    const kept = names();
    expect(kept).toEqual(expect.arrayContaining(["admin.key", "encryption.key", "nexus.mdb"]));
    rmSync(file);
    await expect(start()).rejects.toThrow("the providers file");
    expect(names()).toEqual(kept);
  });

  it("sends a secret only when it is another, and prunes only when it says so", async () => {
    writeFileSync(file, one);
    const started = await start();
    await place.clients().providers.createProvider({ provider: { name: "other", authType: 2 } });
    await started.reloadFiles();
    expect(lastOf(applied)).toMatchObject({ updated: [], unmanaged: ["other"], deleted: [], unchanged: 1 });
    // The file's own watcher may be first: then the reload finds nothing to do.
    const appliedOnce = async (text: string) => {
      const from = place.logLines.length;
      writeFileSync(file, text);
      await started.reloadFiles();
      return place.logLines
        .slice(from)
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter(({ message, updated }) => message === applied && `${updated}` !== "");
    };
    expect(await appliedOnce(one.replace("FIRST", "SECOND"))).toMatchObject([
      { updated: ["github"], deleted: [] },
    ]);
    expect(await appliedOnce(`prune: true\n${one}`)).toMatchObject([
      { updated: ["github"], deleted: ["other"], unmanaged: [] },
    ]);
    expect(Object.keys(await present())).toEqual(["github"]);
  });

  it("puts right on reload what was changed beside it", async () => {
    writeFileSync(file, one);
    const started = await start();
    const { github: before } = await present();
    await place.clients().providers.updateProvider({
      provider: { id: before?.id ?? "", description: "by hand" },
      updateMask: { paths: ["description"] },
    });
    await started.reloadFiles();
    expect((await present())["github"]?.description).toBe("");
  });
});
