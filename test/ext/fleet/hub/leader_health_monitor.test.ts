import { describe, expect, it } from "vitest";
import type { LeadGivenBack } from "../../../../src/ext/fleet/hub/lead_given_back.js";
import {
  LeaderHealthMonitor,
  type LeadTrouble,
} from "../../../../src/ext/fleet/hub/leader_health_monitor.js";
import type { ProviderProfile } from "../../../../src/model/providers/provider_profile.js";
import { ManualClock } from "../../../fakes/manual_clock.js";
import { aProfile } from "../../../samples.js";
import { silentLog } from "../../../silent_log.js";

/** A hub that leads, and what its test says of it and of another one. */
class Scene {
  readonly clock = new ManualClock(1_000_000);
  readonly errors: string[] = [];
  leads = true;
  unreached: string[] = [];
  reached: string[] = [];
  providers: Partial<ProviderProfile>[] = [];
  /** Origins to which this hub opens a connection. */
  reachable: string[] = [];
  tried: string[][] = [];
  isClockOff = false;
  health: true | string = true;
  isWriting = false;
  position = 7n;
  others: { mayLead: boolean; reached: boolean }[] = [{ mayLead: true, reached: true }];
  asked: string[][] = [];
  kept: LeadGivenBack | undefined;
  given: LeadTrouble[] = [];
  watch = this.process();

  /** The hub as it is started again. */
  process(): LeaderHealthMonitor {
    const scene = this;
    return new LeaderHealthMonitor({
      leads: () => this.leads,
      store: {
        get isWritingBatches() {
          return scene.isWriting;
        },
        get position() {
          return { position: scene.position, batchId: "" };
        },
        listProviders: () => this.providers.map(aProfile),
      },
      reach: {
        unreached: () => this.unreached,
        get reached() {
          return scene.reached;
        },
        forget: () => {
          this.unreached = [];
        },
      },
      isClockOff: () => this.isClockOff,
      canReachAny: async (origins) => {
        this.tried.push([...origins]);
        return origins.some((origin) => this.reachable.includes(origin));
      },
      askOthers: async (origins) => {
        this.asked.push([...origins]);
        return this.others.map((answer) => ({
          address: "10.0.0.2:7443",
          answer: { $typeName: "nexus.fleet.v1.ReachResponse" as const, writeTrouble: "", ...answer },
        }));
      },
      file: {
        read: () => this.kept,
        write: async (given) => {
          this.kept = given;
        },
      },
      giveBack: (trouble) => void this.given.push(trouble),
      clock: this.clock,
      log: { ...silentLog, error: (_, text) => void this.errors.push(text) },
    });
  }

  /** Looks every five seconds. */
  async looks(seconds: number): Promise<void> {
    for (let passed = 0; passed < seconds; passed += 5) {
      this.watch.look(this.health);
      await new Promise((resolve) => setImmediate(resolve));
      this.clock.advance(5_000);
    }
  }
}

describe("a hub that leads gives the lead back", () => {
  it("when it reaches no provider, and another hub does", async () => {
    const scene = new Scene();
    await scene.looks(60);
    expect([scene.given, scene.asked]).toEqual([[], []]);
    scene.unreached = ["https://op.example"];
    await scene.looks(5);
    expect(scene.given).toEqual(["providers_unreachable"]);
    expect(scene.asked).toEqual([["https://op.example"]]);
    expect(scene.kept?.reason).toBe("providers_unreachable");
    expect(scene.errors).toEqual(["this hub gives the lead of its fleet back, since it reaches no provider"]);
  });

  it("when its clock is off, and another hub's is not", async () => {
    const scene = new Scene();
    scene.isClockOff = true;
    scene.others = [{ mayLead: false, reached: false }];
    await scene.looks(5);
    expect(scene.given).toEqual([]);
    scene.others = [{ mayLead: true, reached: false }];
    await scene.looks(65);
    expect(scene.given[0]).toEqual("clock_off");
    expect(scene.asked).toEqual([[], []]);
    expect(scene.errors).toEqual([
      "this hub leads, but its clock is not the database's, and no other hub could lead instead",
      "this hub gives the lead of its fleet back, since its clock is not the database's",
    ]);
  });

  it("when its refreshes do not go on, whatever others reach", async () => {
    const scene = new Scene();
    scene.health = "due work has not moved";
    scene.others = [{ mayLead: true, reached: false }];
    await scene.looks(5);
    expect(scene.given).toEqual(["refreshes_stuck"]);
    expect(scene.asked).toEqual([[]]);
  });

  it("when one batch does not get to its disk in twenty seconds, but not when many do", async () => {
    const scene = new Scene();
    scene.isWriting = true;
    for (let count = 0; count < 20; count++) {
      await scene.looks(5);
      scene.position++;
    }
    expect([scene.given, scene.watch.isDiskStuck]).toEqual([[], false]);
    await scene.looks(20);
    expect(scene.given).toEqual([]);
    await scene.looks(5);
    expect([scene.given, scene.watch.isDiskStuck]).toEqual([["disk_stuck"], true]);
    scene.isWriting = false;
    expect(scene.watch.isDiskStuck).toBe(false);
  });

  const others = [
    { name: "no other hub answers", others: [] },
    { name: "the other hub reaches none either", others: [{ mayLead: true, reached: false }] },
    { name: "the other hub may not lead", others: [{ mayLead: false, reached: true }] },
  ];
  it.each(others)(
    "but leads on where $name, says so once, and asks again each minute",
    async ({ others }) => {
      const scene = new Scene();
      scene.unreached = ["https://op.example"];
      scene.others = others;
      await scene.looks(115);
      expect(scene.given).toEqual([]);
      expect(scene.asked).toHaveLength(2);
      expect(scene.errors).toEqual([
        "this hub leads, but it reaches no provider, and no other hub could lead instead",
      ]);
      expect(scene.watch.warnings()).toEqual([
        "it reaches no provider, and no other hub could lead instead: it goes on",
      ]);
      // When it reaches one again, that is over.
      scene.unreached = [];
      await scene.looks(5);
      expect(scene.watch.warnings()).toEqual([]);
      // And when another could, it does.
      scene.unreached = ["https://op.example"];
      scene.others = [{ mayLead: true, reached: true }];
      await scene.looks(5);
      expect(scene.given).toEqual(["providers_unreachable"]);
    },
  );

  it("but not when it reaches one by now", async () => {
    const scene = new Scene();
    scene.unreached = ["https://op.example"];
    scene.reachable = ["https://op.example"];
    await scene.looks(60);
    expect([scene.given, scene.asked, scene.unreached]).toEqual([[], [], []]);
  });

  const known = [
    { name: "it has reached another one before", reached: ["https://good.example"], providers: [] },
    {
      name: "the fleet has another one, by its token endpoint",
      ...{ reached: [], providers: [{ tokenUrl: "https://good.example/token" }] },
    },
    {
      name: "the fleet has another one, by its issuer",
      ...{
        reached: [],
        providers: [{ issuer: "https://good.example/tenant" }, { tokenUrl: "", issuer: "" }],
      },
    },
  ];
  it.each(known)(
    "but not since one provider lets another hub in alone, where $name",
    async ({ reached, providers }) => {
      const scene = new Scene();
      Object.assign(scene, { reached, providers, reachable: ["https://good.example"] });
      scene.unreached = ["https://only-the-other.example"];
      await scene.looks(60);
      expect([scene.given, scene.asked, scene.watch.warnings()]).toEqual([[], [], []]);
      expect(scene.tried).toEqual([["https://only-the-other.example", "https://good.example"]]);
      // Where it reaches that one no more, it is cut off.
      scene.reachable = [];
      scene.unreached = ["https://only-the-other.example"];
      await scene.looks(5);
      expect(scene.given).toEqual(["providers_unreachable"]);
      expect(scene.asked).toEqual([["https://only-the-other.example", "https://good.example"]]);
    },
  );

  it("after it has tried fifteen origins, some of each kind, whoever makes many providers", async () => {
    const scene = new Scene();
    const origins = (kind: string) =>
      Array.from({ length: 16 }, (_, index) => `https://${kind}${index}.example`);
    scene.unreached = origins("dead");
    scene.reached = origins("good");
    scene.providers = origins("some").map((origin) => ({ tokenUrl: `${origin}/token` }));
    await scene.looks(5);
    expect(scene.given).toEqual(["providers_unreachable"]);
    const [asked = []] = scene.asked;
    expect(asked).toEqual(scene.tried[0]);
    expect(asked.slice(0, 5)).toEqual(scene.unreached.slice(0, 5));
    expect(asked.slice(5, 10)).toEqual(scene.reached.slice(-5));
    expect(asked.slice(10).filter((origin) => origin.startsWith("https://some"))).toHaveLength(5);
  });

  it("but not while it follows, nor where it has lost the lead while it asked", async () => {
    const scene = new Scene();
    scene.unreached = ["https://op.example"];
    scene.leads = false;
    await scene.looks(60);
    expect(scene.asked).toEqual([]);
    scene.leads = true;
    scene.watch.look(scene.health);
    scene.leads = false;
    await new Promise((resolve) => setImmediate(resolve));
    expect([scene.given, scene.kept]).toEqual([[], undefined]);
  });

  it("once in five minutes, in which it stands back: its next process too", async () => {
    const scene = new Scene();
    scene.unreached = ["https://op.example"];
    await scene.looks(5);
    scene.watch = scene.process();
    expect(scene.watch.isBackingOff).toBe(true);
    expect(scene.watch.warnings()).toEqual(["this hub gave the lead back, since it reaches no provider"]);
    await scene.looks(290);
    expect(scene.given).toHaveLength(1);
    await scene.looks(10);
    expect(scene.watch.isBackingOff).toBe(true);
    expect(scene.given).toHaveLength(2);
  });

  it("and stands back no longer where the clock was set back", async () => {
    const scene = new Scene();
    scene.watch.note("disk_failed");
    expect(scene.watch.isBackingOff).toBe(true);
    scene.clock.jump(-3_600_000);
    expect([scene.watch.isBackingOff, scene.process().isBackingOff]).toEqual([false, false]);
  });
});
