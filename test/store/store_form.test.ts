import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { StoreRecordSchema } from "../../src/gen/nexus/store/v1/records_pb.js";
import type { ApiKeyRecord } from "../../src/model/access/api_key.js";
import { isMarkedOpen } from "../../src/store/lmdb/file_check.js";
import { encodeApiKey } from "../../src/store/records/api_key_codec.js";
import { markOpen, Store, storeFileName } from "../../src/store/store.js";
import { forms, storeRecordOf, writeStoreRecord } from "../../src/store/store_record.js";
import { nowMs } from "../samples.js";
import { temporaryFolder } from "../temporary_folder.js";
import { openStore } from "./temporary_store.js";

const plain: ApiKeyRecord = {
  id: "k",
  name: "ci",
  digest: new Uint8Array(32),
  old: undefined,
  role: "agent",
  restriction: { userIds: ["ada"], providers: ["acme"] },
  createdAtMs: nowMs,
  createdBy: "owner",
  expiresAtMs: nowMs + 1,
  lease: undefined,
  revokedAtMs: undefined,
  revokedBy: undefined,
  lastUsedAtMs: undefined,
};

const limits: readonly [string, Partial<ApiKeyRecord>, number][] = [
  ["labels", { restriction: { labels: ["work"] } }, 2],
  ["methods", { restriction: { methods: ["GET"] } }, 2],
  ["paths", { restriction: { paths: ["/v1/*"] } }, 2],
  ["a lease", { lease: { durationMs: 60_000, endsAtMs: nowMs + 60_000 } }, 2],
  ["uses", { uses: { uses: 20, perMs: undefined } }, 3],
  ["uses of a period", { uses: { uses: 20, perMs: 60_000 } }, 3],
];

/** What is in a folder, without the table of readers of LMDB. */
function filesOf(folder: string): Record<string, string> {
  const names = readdirSync(folder).filter((name) => !name.endsWith("-lock"));
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(folder, name), "base64")]));
}

/** What a release judges that knows one form alone: it refuses all others. */
function formOnDisk(store: Store): number {
  const bytes = store.raw(({ meta }) => meta.getBinary("store"));
  return fromBinary(StoreRecordSchema, bytes ?? new Uint8Array()).schemaVersion;
}

it("a store keeps the first form while it has nothing that an older nexusd would ignore", async () => {
  const store = openStore();
  await store.commit((tx) => tx.putApiKey(plain));
  expect(formOnDisk(store)).toBe(1);
});

it.each(limits)(
  "a key that is limited by %s gives the store a form that older ones refuse",
  async (_, limit, form) => {
    const store = openStore();
    const { databaseId } = store;
    await store.commit((tx) => tx.putApiKey({ ...plain, ...limit }));
    expect(formOnDisk(store)).toBe(form);
    await store.commit((tx) => tx.putApiKey(plain));
    expect(formOnDisk(store), "it never goes back").toBe(form);
    expect(store.raw(storeRecordOf)).toMatchObject({ databaseId, createdAtMs: nowMs });
  },
);

it("a key whose commit fails leaves the form as it was", async () => {
  const store = openStore();
  const [[, limit] = ["", {}]] = limits;
  const failing = store.commit((tx) => {
    tx.putApiKey({ ...plain, ...limit });
    throw new Error("no");
  });
  await expect(failing).rejects.toThrow("no");
  expect(formOnDisk(store)).toBe(1);
});

it.each(limits)(
  "a store that has %s from before there were forms gets its form when it is opened",
  async (_, limit, form) => {
    const folder = temporaryFolder();
    const store = Store.open({ folder, nowMs });
    await store.commit((tx) =>
      tx.raw(({ apiKeys }) => apiKeys.putSync("k", encodeApiKey({ ...plain, ...limit }))),
    );
    expect(formOnDisk(store)).toBe(1);
    await store.close();
    expect(formOnDisk(openStore(folder))).toBe(form);
  },
);

it.each([0, forms.useLimits + 1, 99])("a store of form %i is refused, with what to do", async (form) => {
  const folder = temporaryFolder();
  const store = Store.open({ folder, nowMs });
  await store.commit((tx) =>
    tx.raw((databases) => {
      const record = storeRecordOf(databases);
      writeStoreRecord(databases, { ...record, schemaVersion: form });
    }),
  );
  await store.close();
  const before = filesOf(folder);
  expect(() => Store.open({ folder, nowMs })).toThrow(
    expect.objectContaining({
      name: "StoreDamaged",
      message: expect.stringMatching(
        new RegExp(`form ${form}, this one knows up to 3\\): run that version, restore a backup`),
      ),
    }),
  );
  expect(filesOf(folder), "as it was found").toEqual(before);
});

it("a store that is refused and was not closed is still checked in full by the next start", async () => {
  const folder = temporaryFolder();
  const store = Store.open({ folder, nowMs });
  await store.commit((tx) =>
    tx.raw((databases) => {
      writeStoreRecord(databases, { ...storeRecordOf(databases), schemaVersion: 99 });
    }),
  );
  await store.close();
  const path = join(folder, storeFileName);
  markOpen(path);
  expect(() => Store.open({ folder, nowMs })).toThrow("form 99");
  expect(isMarkedOpen(path)).toBe(true);
});

it("no record of a store is one of form 0", () => {
  expect(toBinary(StoreRecordSchema, create(StoreRecordSchema))).toEqual(new Uint8Array());
});
