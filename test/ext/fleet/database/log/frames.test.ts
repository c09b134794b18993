import { expect, test } from "vitest";
import { decodeFrames, encodeArray } from "../../../../../src/ext/fleet/database/log/frames.js";
import fc from "../../../../property.js";
import { aFleetBed } from "../fleet_bed.js";

const bed = aFleetBed();

/** As PostgreSQL sends fields. */
function frames(...fields: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    fields.flatMap((field) => {
      const length = Buffer.alloc(4);
      length.writeInt32BE(field.length);
      return [length, field];
    }),
  );
}

const entry = fc.record({
  database: fc.string({ unit: "grapheme", maxLength: 20 }),
  key: fc.uint8Array({ maxLength: 40 }),
  value: fc.uint8Array({ maxLength: 300 }),
});

test("entries come back as they were", () => {
  fc.assert(
    fc.property(fc.array(entry), (entries) => {
      const bytes = entries.map(({ database, key, value }) => frames(Buffer.from(database), key, value));
      const read = decodeFrames(Buffer.concat(bytes)).map(({ database, key, value }) => ({
        database,
        key: new Uint8Array(key),
        value: new Uint8Array(value ?? []),
      }));
      expect(read).toEqual(entries);
    }),
  );
});

test("bytes that end early are refused wherever they end", () => {
  const whole = frames(Buffer.from("meta"), new Uint8Array([1]), new Uint8Array([2, 3]));

  for (let length = 1; length < whole.length; length++) {
    expect(() => decodeFrames(whole.subarray(0, length))).toThrow("cut off");
  }
});

test.each(["-1", "-2147483648", "2147483647"])("a length of %s is refused", (length) => {
  const bytes = Buffer.alloc(16);
  bytes.writeInt32BE(Number(length));

  expect(() => decodeFrames(bytes)).toThrow("cut off");
});

test("PostgreSQL reads arrays as they were, of any bytes and with nulls", async () => {
  const arrays = fc.sample(fc.array(fc.option(fc.uint8Array({ maxLength: 50 }), { nil: undefined })), 30);
  for (const array of [[], ...arrays]) {
    const rows = await bed.postgres.queryWith<{ value: Buffer | null }>(
      "SELECT unnest($1::bytea[]) AS value",
      [encodeArray("bytea", array)],
    );
    expect(rows.map(({ value }) => value && new Uint8Array(value))).toEqual(
      array.map((element) => element ?? null),
    );
  }
});
