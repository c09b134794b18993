import { once } from "node:events";
import { Readable, Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import { pump } from "../../../../src/ext/egress/proxy/pump.js";

/** As large as what a record of TLS holds. */
const record = Buffer.alloc(16 * 1024);

describe("pump", () => {
  it("lets a source go on for some records, and holds it while more than that wait", async () => {
    const taken: (() => void)[] = [];
    const sink = new Writable({ write: (_chunk, _encoding, done) => void taken.push(done) });
    let read = 0;
    const source = new Readable({
      highWaterMark: 1,
      read() {
        this.push(read++ < 100 ? record : null);
      },
    });
    pump(source, sink);
    await once(source, "pause");
    expect(sink.writableLength).toBe(9 * record.length);
    while (read <= 100 || !sink.writableFinished) {
      expect(sink.writableLength).toBeLessThanOrEqual(9 * record.length);
      taken.shift()?.();
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
});
