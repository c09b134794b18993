import { findLosses, findViolations } from "./invariants.js";
import { apply, type Step } from "./steps.js";
import { providerNames, World } from "./world.js";

const minuteMs = 60_000;

/** One script, from an empty store to the calm after it. @throws Error that names what was violated, and after which step */
export async function runScript(
  seed: number,
  script: readonly Step[],
  onStep: () => void,
  isFleet = false,
): Promise<void> {
  const world = await World.make(seed, isFleet);
  const check = (where: string, found: readonly string[]): void => {
    if (found.length > 0) throw new Error(`${where}: ${found.join("; ")}`);
  };
  try {
    for (const [index, step] of script.entries()) {
      await apply(world, step);
      onStep();
      check(`after step ${index}, ${JSON.stringify(step)}`, findViolations(world));
    }
    // A slow phase may wait long, and a lost answer waits for its probe.
    world.calm();
    await world.resume();
    for (const provider of providerNames) {
      await apply(world, { do: "recreate_profile", provider });
      await apply(world, { do: "edit_profile", provider });
    }
    // Two commits that are refused as late as here cost an hour each.
    const hour = 61 * minuteMs;
    for (const byMs of [10_000, 2 * minuteMs, 55 * minuteMs, hour, hour, hour]) {
      world.clock.advance(byMs);
      await world.settle();
      world.calm();
    }
    check("at the end", [...findViolations(world), ...findLosses(world)]);
    check("at the end", (await world.fleet?.differences()) ?? []);
  } finally {
    await world.end();
  }
}
