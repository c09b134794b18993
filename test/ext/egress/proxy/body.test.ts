import { once } from "node:events";
import { Readable, Writable } from "node:stream";
import { describe, expect, it } from "vitest";
import { BodyBudget, pump, StreamedBody } from "../../../../src/ext/egress/proxy/body.js";
import { perTest } from "../../../lifetimes.js";
import { canary, EgressWorld } from "./egress_world.js";

const all = new BodyBudget(15);
const [ada, bob] = [new BodyBudget(10, all), new BodyBudget(10, all)];
const bodyOf = (budget: BodyBudget): StreamedBody =>
  new StreamedBody(Readable.from([Buffer.from("abc"), Buffer.from("def")]), undefined, budget);

describe("a body that is beyond what may be held", () => {
  const egress = perTest(() => EgressWorld.start({ maxHeldBytes: 100_000 }));
  const signed = {
    kind: { case: "hmacPayload", value: { headerName: "x-sig", secretField: "api_key" } },
  } as const;

  it.each([1, 2] as const)(
    "is refused over HTTP/%i with an answer that arrives, and the next request is served",
    async (version) => {
      const token = { revision: 1n, credentials: { api_key: canary }, strategy: signed };
      egress.acquired = [{ result: { case: "token", value: token } }];
      const asked = { version, method: "POST", body: Buffer.alloc(200_000) };
      const { status, body } = await egress.ask("/v1/a", asked);
      expect([status, body]).toEqual([503, expect.stringContaining("too-much-held")]);
      expect((await egress.ask("/v1/a", { ...asked, body: "short" })).status).toBe(200);
      expect(egress.received.map((request) => request.body)).toEqual(["short"]);
    },
  );
});

it("bodies are held up to a sum for each caller and one for all, and their room is given back once", async () => {
  const [first, second, others] = [bodyOf(ada), bodyOf(ada), bodyOf(bob)];
  expect(String(await first.whole(100))).toBe("abcdef");
  await expect(second.whole(100)).rejects.toMatchObject({ status: 503, kind: "too-much-held" });
  // What it had read counts until it is over.
  await expect(others.whole(100)).resolves.toHaveLength(6);
  second.release();
  second.release();
  await expect(bodyOf(bob).whole(100)).rejects.toMatchObject({ status: 503 });
  first.release();
  expect(first.canBeSentAgain).toBe(false);
  expect(String(await bodyOf(ada).whole(100))).toBe("abcdef");
});

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
