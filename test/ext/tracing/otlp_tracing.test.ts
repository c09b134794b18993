import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { OtlpTracing } from "../../../src/ext/tracing/otlp_tracing.js";
import { OtlpReceiver } from "../../fakes/otlp_receiver.js";
import { perTest } from "../../lifetimes.js";

class Refused extends Error {
  override readonly name = "Refused";
}

describe("OtlpTracing", () => {
  const receiver = perTest(() => OtlpReceiver.start());
  let tracing: OtlpTracing;
  beforeEach(async () => {
    process.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.origin;
    tracing = new OtlpTracing({ version: "1.2.3", onExportFailed: (error) => expect.fail(`${error}`) });
  });
  afterEach(async () => {
    delete process.env["OTEL_EXPORTER_OTLP_ENDPOINT"];
  });
  const sent = async () => {
    await tracing.close();
    return new Map(receiver.spans.map((span) => [span.name, span]));
  };
  const internal = (name: string) => ({ name, kind: "internal" }) as const;

  it("nests what is awaited, and keeps what runs side by side apart", async () => {
    const inner = (name: string) => tracing.inSpan(internal(name), async () => await Promise.resolve(name));
    const outer = (name: string) => tracing.inSpan(internal(name), async () => await inner(`${name}.inner`));
    expect(await Promise.all([outer("one"), outer("two")])).toEqual(["one.inner", "two.inner"]);
    const spans = await sent();
    for (const name of ["one", "two"]) {
      expect(spans.get(name)?.parentSpanId).toBe("");
      expect(spans.get(`${name}.inner`)).toMatchObject({
        traceId: spans.get(name)?.traceId,
        parentSpanId: spans.get(name)?.spanId,
      });
    }
    expect(spans.get("one")?.traceId).not.toBe(spans.get("two")?.traceId);
    expect(spans.get("one")?.resource).toMatchObject({
      "service.name": "nexusd",
      "service.version": "1.2.3",
    });
  });

  it("takes what a span has left running for no part of it", async () => {
    let later!: () => void;
    let left!: Promise<void>;
    tracing.inSpan(internal("call"), () => {
      const called = new Promise<void>((resolve) => {
        later = resolve;
      });
      left = called.then(() => {
        expect(tracing.logFields()).toEqual({});
        tracing.inSpan(internal("scheduled"), () => undefined);
      });
      expect(tracing.logFields()).toEqual({
        trace_id: expect.stringMatching(/^[0-9a-f]{32}$/),
        span_id: expect.stringMatching(/^[0-9a-f]{16}$/),
      });
    });
    later();
    await left;
    const spans = await sent();
    expect(spans.get("scheduled")).toMatchObject({ parentSpanId: "" });
    expect(spans.get("scheduled")?.traceId).not.toBe(spans.get("call")?.traceId);
  });

  it("passes errors through; they fail a span by their class, or by the word that was said, but not that of a call", async () => {
    const refused = (): never => {
      throw new Refused("token-in-a-message");
    };
    expect(() => tracing.inSpan(internal("plain"), refused)).toThrow(Refused);
    await expect(tracing.inSpan(internal("awaited"), async () => refused())).rejects.toThrow(Refused);
    const said = (span: { fail(word: string): void }): never => {
      span.fail("timeout");
      return refused();
    };
    expect(() => tracing.inSpan(internal("said"), said)).toThrow(Refused);
    expect(() => tracing.inSpan({ name: "call", kind: "server" }, refused)).toThrow(Refused);
    const spans = await sent();
    for (const [name, word] of [
      ["plain", "Refused"],
      ["awaited", "Refused"],
      ["said", "timeout"],
    ] as const)
      expect(spans.get(name)).toMatchObject({ status: 2, attributes: { "error.type": word } });
    expect(spans.get("call")).toMatchObject({ status: 0, kind: 2 });
    expect(Buffer.concat(receiver.bodies).toString("latin1")).not.toContain("token-in-a-message");
  });

  it("keeps to the decision of a caller not to sample", async () => {
    const caller = { traceparent: `00-${"a".repeat(32)}-${"b".repeat(16)}-00` };
    tracing.inSpan({ name: "call", kind: "server", caller }, () =>
      tracing.inSpan(internal("inside"), () => expect(tracing.logFields()).toHaveProperty("trace_id")),
    );
    expect((await sent()).size).toBe(0);
  });
});
