import { hash, randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { nameKey } from "../src/model/connections/connection_name.js";
import { newApiKey } from "../src/vault/api_key.js";
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
  writeFileSync(join(data, "admin.key"), "refresh-2-secret");
  writeFileSync(join(data, "nexus.mdb"), "\u0000\u0001access-1-secret");
  expect(sweep(left).sort()).toEqual([
    "a refresh token in log 1.log:2: bad",
    `an access token in ${join(data, "nexus.mdb")}`,
  ]);
});

test("the sweep finds an API key and the key of a file in a store, and takes no random digest of a name for one", () => {
  const left = temporaryFolder();
  const data = temporaryFolder();
  writeFileSync(join(left, "1.folders"), data);
  const admin = `nxk_${randomBytes(32).toString("base64url")}`;
  writeFileSync(join(data, "admin.key"), `${admin}\n`);
  const store = join(data, "nexus.mdb");
  // The store finds connections by the digests of their names. One in 262 144 begins with `nx_`, and this is one.
  const name = { userId: "u17346", providerId: "00000000-0000-4000-8000-000000000000", label: "" };
  const digest = hash("sha256", nameKey(name), "base64url");
  expect(digest).toMatch(/^nx_[\w-]{40}$/);
  writeFileSync(store, `\u0002${digest}\u0000`);
  expect(sweep(left)).toEqual([]);
  writeFileSync(store, newApiKey().key.reveal());
  expect(sweep(left)).toEqual([`an API key in ${store}`]);
  writeFileSync(store, admin);
  expect(sweep(left)).toEqual([`a key of a file in ${store}`]);
});
