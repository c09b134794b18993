import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeFrames, encodeFrames } from "../../../src/fleet/log/frames.js";

const write = fc.record({
  database: fc.string({ unit: "binary", maxLength: 20 }),
  key: fc.uint8Array({ maxLength: 40 }),
  value: fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined }),
});

test("writes come back as they were", () => {
  fc.assert(
    fc.property(fc.array(write), (writes) => {
      const read = decodeFrames(encodeFrames(writes)).map(({ database, key, value }) => ({
        database,
        key: new Uint8Array(key),
        value: value && new Uint8Array(value),
      }));
      expect(read).toEqual(writes);
    }),
  );
});

test("bytes that end early are refused wherever they end", () => {
  const whole = encodeFrames([{ database: "meta", key: new Uint8Array([1]), value: new Uint8Array([2, 3]) }]);

  for (let length = 1; length < whole.length; length++) {
    expect(() => decodeFrames(whole.subarray(0, length))).toThrow("a frame of the log");
  }
});

test.each([["-2"], ["-2147483648"], ["2147483647"]])("a length of %s is refused", (length) => {
  const bytes = Buffer.alloc(16);
  bytes.writeInt32BE(Number(length));

  expect(() => decodeFrames(bytes)).toThrow("cut off");
});

test("a frame without a database or key is refused", () => {
  const bytes = Buffer.alloc(12, 0xff);

  expect(() => decodeFrames(bytes)).toThrow("names no entry");
});
