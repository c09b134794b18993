import { beforeEach, describe, expect, it } from "vitest";
import {
  ConcurrencyClosed,
  ConcurrencyCrowded,
  globalCap,
  ProviderConcurrency,
} from "../../../../src/domain/refresh/limits/provider_concurrency.js";
import { perProviderCap } from "../../../../src/domain/refresh/limits/provider_queue.js";
import { ManualClock } from "../../../fakes/manual_clock.js";

/** Work that ends when the test says so. */
class Work {
  readonly started: string[] = [];
  readonly #ends = new Map<string, () => void>();

  run(name: string): () => Promise<void> {
    return () => {
      this.started.push(name);
      return new Promise((resolve) => this.#ends.set(name, resolve));
    };
  }

  async end(name: string): Promise<void> {
    this.#ends.get(name)?.();
    await turn();
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe("ProviderConcurrency", () => {
  let concurrency: ProviderConcurrency;
  let work: Work;
  beforeEach(() => {
    concurrency = new ProviderConcurrency(new ManualClock(0));
    work = new Work();
  });

  it("caps due work, keeps places for callers, and caps those too", async () => {
    for (let n = 0; n < 20; n++) void concurrency.run("p", `due${n}`, "due", work.run(`due${n}`));
    await turn();
    expect(work.started).toHaveLength(12);
    for (let n = 0; n < 20; n++) void concurrency.run("p", `call${n}`, "demand", work.run(`call${n}`));
    await turn();
    expect(work.started).toHaveLength(perProviderCap);
    await work.end("due0");
    expect(work.started.at(-1)).toBe("call4");
  });

  it("gives the places in all of what takes long to other providers, and few to more of the same", async () => {
    const clock = new ManualClock(0);
    concurrency = new ProviderConcurrency(clock);
    for (let n = 0; n < 120; n++)
      void concurrency.run(`slow${n % 10}`, `due${n}`, "due", work.run(`due${n}`));
    void concurrency.run("other", "other", "due", work.run("other"));
    await turn();
    expect(work.started).toHaveLength(112);
    expect(work.started).not.toContain("other");
    clock.advance(10_000);
    await turn();
    expect(work.started).toContain("other");
    expect(concurrency.hasRoom("slow0")).toBe(false);
    void concurrency.run("slow0", "more", "due", work.run("more"));
    await turn();
    expect(work.started).not.toContain("more");
  });

  it("has as many places as the provider's profile says, three quarters of them for due work", async () => {
    let places = 64;
    concurrency = new ProviderConcurrency(new ManualClock(0), () => places);
    for (let n = 0; n < 100; n++) void concurrency.run("p", `due${n}`, "due", work.run(`due${n}`));
    await turn();
    expect(work.started).toHaveLength(48);
    for (let n = 0; n < 20; n++) void concurrency.run("p", `call${n}`, "demand", work.run(`call${n}`));
    await turn();
    expect(work.started).toHaveLength(64);
    places = 1;
    for (const provider of ["q", "p"]) {
      for (const name of ["one", "two"])
        void concurrency.run(provider, `${provider}/${name}`, "due", work.run(`${provider}/${name}`));
    }
    await turn();
    expect(work.started.slice(64)).toEqual(["q/one"]);
    await work.end("q/one");
    expect(work.started.slice(64)).toEqual(["q/one", "q/two"]);
    // The profile was changed: what is under way ends, and little begins.
    for (const name of work.started.slice(0, 64)) await work.end(name);
    expect(work.started).toHaveLength(64 + 2 + 1);
  });

  it("moves what a caller waits for to the front", async () => {
    for (let n = 0; n < 40; n++) void concurrency.run("p", `due${n}`, "due", work.run(`due${n}`));
    void concurrency.run("p", "due39", "demand", work.run("due39 again"));
    await turn();
    expect(work.started.at(-1)).toBe("due39");
  });

  it("gives places in turn between providers, within the global cap", async () => {
    for (let p = 0; p < 20; p++) {
      for (let n = 0; n < 10; n++) void concurrency.run(`p${p}`, `${p}/${n}`, "due", work.run(`${p}/${n}`));
    }
    await turn();
    expect(concurrency.running).toBeLessThan(globalCap);
    await work.end("0/0");
    const last = work.started.at(-1) ?? "";
    expect(last.startsWith("0/")).toBe(false);
  });

  it("lowers the concurrency limit of a provider that does not answer until it does", async () => {
    for (let n = 0; n < 3; n++) concurrency.note("p", "unsent");
    for (let n = 0; n < 20; n++) void concurrency.run("p", `due${n}`, "due", work.run(`due${n}`));
    await turn();
    expect(work.started).toHaveLength(2);
    expect(concurrency.hasRoom("p")).toBe(false);
    expect(concurrency.hasRoom("q")).toBe(true);
    concurrency.note("p", "answered");
    await work.end("due0");
    expect(work.started).toHaveLength(13);
  });

  it("keeps places for refreshes, however much else is asked of the provider", async () => {
    for (let n = 0; n < 208; n++) void concurrency.admit("p", `other${n}`, work.run(`other${n}`));
    await turn();
    expect(work.started).toHaveLength(8);
    await expect(concurrency.admit("p", "more", work.run("more"))).rejects.toThrow(ConcurrencyCrowded);
    for (let n = 0; n < 20; n++) void concurrency.run("p", `due${n}`, "due", work.run(`due${n}`));
    await turn();
    expect(work.started.slice(8)).toEqual(["due0", "due1", "due2", "due3"]);
    for (let n = 0; n < 8; n++) await work.end(`other${n}`);
    const dues = Array.from({ length: 7 }, (_, n) => `due${n + 4}`);
    expect(work.started.slice(12)).toEqual([...dues, "other8", "other9"]);
    void concurrency.run("p", "call", "demand", work.run("call"));
    await turn();
    expect(work.started.at(-1)).toBe("call");
  });

  it("turns away who waits when it is closed", async () => {
    const runs = Array.from({ length: 13 }, (_, n) => concurrency.run("p", `${n}`, "due", work.run(`${n}`)));
    await turn();
    concurrency.close();
    await expect(runs[12]).rejects.toThrow(ConcurrencyClosed);
    await expect(concurrency.run("p", "late", "demand", work.run("late"))).rejects.toThrow(ConcurrencyClosed);
    expect(work.started).toHaveLength(12);
  });
});
