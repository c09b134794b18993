import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { FleetUnreachable } from "../../../../src/ext/fleet/database/connection/fleet_error.js";
import { TcpProxy } from "../../../fakes/tcp_proxy.js";
import { perTest } from "../../../lifetimes.js";
import { has } from "../../../needs.js";
import { aFleetBed } from "./fleet_bed.js";

const bed = aFleetBed();
const proxy = perTest(async () =>
  has("postgresql")
    ? await TcpProxy.postgres(bed.postgres.socketPath)
    : ({} as TcpProxy & { folder: string }),
);

const texts = (found: readonly { readonly tokenSet: Buffer }[]): string[] =>
  found.map(({ tokenSet }) => tokenSet.toString());
const digestOf = (text: string): Buffer => createHash("sha256").update(text).digest();

test("what one hub leaves another one finds, in its order, until it is dropped", async () => {
  const [a, b] = [await bed.connect(), await bed.connect()];
  await a.spool.leave([Buffer.from("one")]);
  const long = "x".repeat(9_000);
  await a.spool.leave([Buffer.from("two")]);
  await a.spool.leave([Buffer.from(long)]);
  const found = await b.spool.list();
  expect(texts(found)).toEqual(["one", "two", long]);
  expect(found[0]?.digest).toEqual(digestOf("one"));
  await b.spool.drop([digestOf("one"), digestOf("none")]);
  expect(texts(await b.spool.list([digestOf(long)]))).toEqual(["two"]);
});

test("the same one is there once, also where its answer was lost", async () => {
  const database = await bed.connect({ url: bed.postgres.url(proxy.folder) });
  proxy.loseAnswerTo("hand_over_1");
  await expect(database.spool.leave([Buffer.from("one")])).rejects.toThrow(FleetUnreachable);
  await database.spool.leave([Buffer.from("one"), Buffer.from("two")]);
  expect(texts(await database.spool.list()).sort()).toEqual(["one", "two"]);
});

test("more than a page comes page by page", async () => {
  const { spool } = await bed.connect();
  await spool.leave(Array.from({ length: 120 }, (_, index) => Buffer.from(`set ${index}`)));
  const first = await spool.list();
  expect(first).toHaveLength(100);
  await spool.drop(first.map(({ digest }) => digest));
  expect(await spool.list()).toHaveLength(20);
});

test.each(["NULL", "ARRAY[NULL]::bytea[]", "ARRAY['\\x01'::bytea, NULL]"])(
  "%s is refused, and nothing is left",
  async (tokenSets) => {
    const leaving = bed.postgres.query(`SELECT nexus.hand_over_1(${tokenSets})`);
    await expect(leaving).rejects.toThrow("a token set is missing");
    expect(await (await bed.connect()).spool.list()).toEqual([]);
  },
);

test("nothing is dropped for a null", async () => {
  const { spool } = await bed.connect();
  await spool.leave([Buffer.from("one")]);
  await bed.postgres.query("SELECT nexus.taken_in_1(NULL), nexus.taken_in_1(ARRAY[NULL]::bytea[])");
  expect(await spool.list()).toHaveLength(1);
});
