import { beforeEach, describe, expect, it } from "vitest";
import { globalCap, perProviderCap, RequestSlots } from "../../../src/domain/grants/request_slots.js";
import { ManualClock } from "../../fakes/manual_clock.js";

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

describe("RequestSlots", () => {
  let slots: RequestSlots;
  let work: Work;
  beforeEach(() => {
    slots = new RequestSlots(new ManualClock(0));
    work = new Work();
  });

  it("caps due work, keeps places for callers, and caps those too", async () => {
    for (let n = 0; n < 20; n++) void slots.refresh("p", `due${n}`, "due", work.run(`due${n}`));
    await turn();
    expect(work.started).toHaveLength(12);
    for (let n = 0; n < 20; n++) void slots.refresh("p", `call${n}`, "demand", work.run(`call${n}`));
    await turn();
    expect(work.started).toHaveLength(perProviderCap);
    await work.end("due0");
    expect(work.started.at(-1)).toBe("call4");
  });

  it("gives the places in all of what takes long to other providers, and few to more of the same", async () => {
    const clock = new ManualClock(0);
    slots = new RequestSlots(clock);
    for (let n = 0; n < 120; n++) void slots.refresh(`slow${n % 10}`, `due${n}`, "due", work.run(`due${n}`));
    void slots.refresh("other", "other", "due", work.run("other"));
    await turn();
    expect(work.started).toHaveLength(112);
    expect(work.started).not.toContain("other");
    clock.advance(10_000);
    await turn();
    expect(work.started).toContain("other");
    expect(slots.hasRoom("slow0")).toBe(false);
    void slots.refresh("slow0", "more", "due", work.run("more"));
    await turn();
    expect(work.started).not.toContain("more");
  });

  it("has as many places as the provider's profile says, three quarters of them for due work", async () => {
    let places = 64;
    slots = new RequestSlots(new ManualClock(0), () => places);
    for (let n = 0; n < 100; n++) void slots.refresh("p", `due${n}`, "due", work.run(`due${n}`));
    await turn();
    expect(work.started).toHaveLength(48);
    for (let n = 0; n < 20; n++) void slots.refresh("p", `call${n}`, "demand", work.run(`call${n}`));
    await turn();
    expect(work.started).toHaveLength(64);
    places = 1;
    for (const provider of ["q", "p"]) {
      for (const name of ["one", "two"])
        void slots.refresh(provider, `${provider}/${name}`, "due", work.run(`${provider}/${name}`));
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
    for (let n = 0; n < 40; n++) void slots.refresh("p", `due${n}`, "due", work.run(`due${n}`));
    void slots.refresh("p", "due39", "demand", work.run("due39 again"));
    await turn();
    expect(work.started.at(-1)).toBe("due39");
  });

  it("gives places in turn between providers, within the global cap", async () => {
    for (let p = 0; p < 20; p++) {
      for (let n = 0; n < 10; n++) void slots.refresh(`p${p}`, `${p}/${n}`, "due", work.run(`${p}/${n}`));
    }
    await turn();
    expect(slots.load.running).toBeLessThan(globalCap);
    await work.end("0/0");
    const last = work.started.at(-1) ?? "";
    expect(last.startsWith("0/")).toBe(false);
  });

  it("lowers the concurrency limit of a provider that does not answer until it does", async () => {
    for (let n = 0; n < 3; n++) slots.unanswered("p", false);
    for (let n = 0; n < 20; n++) void slots.refresh("p", `due${n}`, "due", work.run(`due${n}`));
    await turn();
    expect(work.started).toHaveLength(2);
    expect(slots.hasRoom("p")).toBe(false);
    expect(slots.hasRoom("q")).toBe(true);
    slots.answered("p");
    await work.end("due0");
    expect(work.started).toHaveLength(13);
  });

  it("keeps places for refreshes, however much else is asked of the provider", async () => {
    for (let n = 0; n < 208; n++) void slots.other("p", `other${n}`, work.run(`other${n}`));
    await turn();
    expect(work.started).toHaveLength(8);
    await expect(slots.other("p", "more", work.run("more"))).rejects.toMatchObject({ why: "crowded" });
    for (let n = 0; n < 20; n++) void slots.refresh("p", `due${n}`, "due", work.run(`due${n}`));
    await turn();
    expect(work.started.slice(8)).toEqual(["due0", "due1", "due2", "due3"]);
    for (let n = 0; n < 8; n++) await work.end(`other${n}`);
    const dues = Array.from({ length: 7 }, (_, n) => `due${n + 4}`);
    expect(work.started.slice(12)).toEqual([...dues, "other8", "other9"]);
    void slots.refresh("p", "call", "demand", work.run("call"));
    await turn();
    expect(work.started.at(-1)).toBe("call");
  });

  it("turns away who waits when it is closed", async () => {
    const runs = Array.from({ length: 13 }, (_, n) => slots.refresh("p", `${n}`, "due", work.run(`${n}`)));
    await turn();
    slots.close();
    await expect(runs[12]).rejects.toMatchObject({ why: "closed" });
    await expect(slots.refresh("p", "late", "demand", work.run("late"))).rejects.toMatchObject({
      why: "closed",
    });
    expect(work.started).toHaveLength(12);
  });
});
