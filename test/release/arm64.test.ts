import { join } from "node:path";
import { beforeAll, beforeEach, describe, expect, test } from "vitest";
import { has, needs, onArm64 } from "../needs.js";
import { temporaryFolder } from "../temporary_folder.js";
import { journey } from "./journey.js";
import { artefact, succeed, version } from "./made.js";

/** An emulator takes ten times as long, and the machine may be busy. */
const maxMs = 1_200_000;

describe("the tarball of Linux on arm64, with its processor emulated and Debian's libraries", () => {
  let folder: string;
  beforeAll(() => {
    if (!has("qemu")) return;
    const place = temporaryFolder();
    succeed("tar", [
      "--extract",
      "--file",
      artefact("nexusd-VERSION-linux-arm64.tar.gz"),
      "--directory",
      place,
    ]);
    folder = join(place, `nexusd-${version}-linux-arm64`);
  });
  beforeEach((context) => needs(context, "qemu"));

  const node = () => onArm64(join(folder, "lib/node"));
  const nexusd = () => [...node(), join(folder, "lib/nexusd/dist/main.js")];

  test("serves, takes a consent, refreshes, and adds a token to a request", { timeout: maxMs }, async () => {
    await journey(nexusd(), node(), process.env["PATH"] ?? "");
  });

  test("says which processor it is for", { timeout: maxMs }, () => {
    const [program = "", ...args] = [...nexusd(), "version", "--json"];
    const shown = succeed(program, args, { PATH: process.env["PATH"], HOME: folder });
    expect(JSON.parse(shown)).toMatchObject({ version, platform: "linux-arm64" });
  });
});
