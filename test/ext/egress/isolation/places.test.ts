import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { mountsOf, type Places } from "../../../../src/ext/egress/isolation/places.js";
import { temporaryFolder } from "../../../temporary_folder.js";

/** A person's files: a project, a data folder below one that programs are installed in, and links to both. */
function machine() {
  const made = realpathSync(temporaryFolder());
  const folder = (...names: readonly string[]): string => {
    const path = join(made, ...names);
    mkdirSync(path, { recursive: true });
    return path;
  };
  const [home, work, temporary, session] = ["home", "work", "tmp", "session"].map((name) => folder(name)) as [
    string,
    string,
    string,
    string,
  ];
  const data = folder("home", ".local", "share", "nexusd");
  writeFileSync(join(data, "admin.key"), "key");
  const linked = {
    toData: join(work, "to-data"),
    toKey: join(work, "to-key"),
    toLocal: join(made, "to-local"),
  };
  symlinkSync(data, linked.toData);
  symlinkSync(join(data, "admin.key"), linked.toKey);
  symlinkSync(join(home, ".local"), linked.toLocal);
  const places: Places = { work, share: [], homes: [home], temporary, session, hidden: [data], own: [] };
  return { made, home, work, data, linked, places };
}

const { made, home, work, data, linked, places } = machine();

/** Whether three arguments follow one another. */
function has(mounts: readonly string[], ...wanted: readonly string[]): boolean {
  return mounts.some((_, at) => wanted.every((argument, index) => mounts[at + index] === argument));
}

describe("what an isolated program sees", () => {
  const asWork = (path: string, why: string) => [`the working folder ${path}`, { work: path }, why] as const;
  const asShare = (path: string, why: string) => [`--share ${path}`, { share: [path] }, why] as const;
  it.each([
    asWork("/", "home folder"),
    asWork("/tmp", "it holds"),
    asWork(home, "home folder"),
    asWork(made, "home folder"),
    asWork(places.temporary, "temporary files"),
    ...["/proc", "/proc/self", "/dev/shm", "/etc", "/usr", "/usr/bin", "/opt", "/var"].map((path) =>
      asWork(path, "the machine"),
    ),
    asWork(data, "nexusd's own"),
    asWork(linked.toData, "nexusd's own"),
    asShare(data, "nexusd's own"),
    asShare(join(data, "admin.key"), "nexusd's own"),
    asShare(linked.toData, `which is ${data}`),
    asShare(linked.toKey, `which is ${join(data, "admin.key")}`),
    asShare(join(home, ".local", "share", "..", "share", "nexusd"), "nexusd's own"),
    asShare("/", "home folder"),
    asShare("/proc/self/root", "home folder"),
    asShare("/etc/passwd", "belongs to the machine"),
    asShare(home, "home folder"),
    asShare(join(made, "nowhere"), "there is no such file or folder"),
  ])("is not %s", (_, given, why) => {
    expect(() => mountsOf({ ...places, ...given })).toThrow(why);
  });

  it("is a shared folder without the data folder below it, which cannot be moved away", () => {
    const local = join(home, ".local");
    const mounts = mountsOf({ ...places, share: [local] });
    expect(has(mounts, "--bind", local, local)).toBe(true);
    expect(has(mounts, "--bind", join(local, "share"), join(local, "share"))).toBe(true);
    // The last at a place is what counts.
    expect(mounts.lastIndexOf(data)).toBe(
      mounts.findLastIndex((each, at) => each === data && mounts[at - 1] === "--tmpfs"),
    );
  });

  it("is a folder that was named by a link under both names, with the data folder hidden", () => {
    const mounts = mountsOf({ ...places, share: [linked.toLocal] });
    expect(has(mounts, "--bind", join(home, ".local"), join(home, ".local"))).toBe(true);
    expect(has(mounts, "--symlink", join(home, ".local"), linked.toLocal)).toBe(true);
    expect(has(mounts, "--tmpfs", data)).toBe(true);
  });

  it("is not a key in the working folder", () => {
    const key = join(work, "api.key");
    writeFileSync(key, "key");
    const mounts = mountsOf({ ...places, hidden: [data, key] });
    expect(has(mounts, "--ro-bind", join(places.session, "nothing"), key)).toBe(true);
  });

  it("is nexusd itself, which cannot be written where it is installed in the working folder", () => {
    const own = join(work, "node_modules", "nexusd", "dist");
    mkdirSync(own, { recursive: true });
    const mounts = mountsOf({ ...places, own: [own] });
    expect(has(mounts, "--bind", join(work, "node_modules"), join(work, "node_modules"))).toBe(true);
    expect(mounts.lastIndexOf(own)).toBeGreaterThan(mounts.indexOf(work));
    expect(has(mounts, "--ro-bind", own, own)).toBe(true);
  });
});
