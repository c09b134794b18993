import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { sweep } from "./canary_sweep.js";
import { temporaryFolder } from "./temporary_folder.js";

test("the sweep after the suite finds a secret in a log and in a data folder, and lets key files alone", () => {
  const folder = temporaryFolder();
  const data = join(folder, "data");
  mkdirSync(data);
  const left = join(folder, "left");
  mkdirSync(left);
  writeFileSync(join(left, "1.log"), '{"message":"fine"}\n{"message":"bad","x":"refresh-1-secret"}\n');
  writeFileSync(join(left, "1.folders"), `${data}\n${join(folder, "gone")}\n`);
  writeFileSync(join(data, "admin.key"), "access-1-secret");
  writeFileSync(join(data, "nexus.mdb"), "\u0000\u0001access-1-secret");
  expect(sweep(left).sort()).toEqual([
    "a refresh token in log 1.log:2: bad",
    `an access token in ${join(data, "nexus.mdb")}: `,
  ]);
});
