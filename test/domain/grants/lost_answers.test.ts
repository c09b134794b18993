import { expect, it } from "vitest";
import { GrantFailure } from "../../../src/oauth/failure.js";
import { perTest } from "../../lifetimes.js";
import { Engine, hourMs, tokenSet } from "../engine.js";

const engine = perTest(() => new Engine());
const count = 40;

/** Lets `seconds` pass, five at a time, and answers what is sent meanwhile. */
async function pass(seconds: number, answer: (request: Engine["sent"][number]) => void): Promise<void> {
  let seen = engine.sent.length;
  for (let past = 0; past < seconds; past += 5) {
    engine.clock.advance(5_000);
    for (let rounds = 0; rounds < 4; rounds++) {
      await engine.store.commit(() => undefined);
      await new Promise((resolve) => setImmediate(resolve));
      for (; seen < engine.sent.length; seen++) answer(engine.sent[seen] as Engine["sent"][number]);
    }
  }
}

it("a gateway that loses all answers for ten minutes costs a few grants their one probe, and not all of them", async () => {
  const profile = await engine.provider("op");
  const ids: string[] = [];
  for (let n = 0; n < count; n++) ids.push((await engine.connection(profile)).id);
  engine.scheduler.start();
  engine.clock.advance(hourMs - 60_000);
  const lose = (request: Engine["sent"][number]) =>
    request.fail(new GrantFailure({ kind: "ambiguous", httpStatus: 504 }));
  await pass(600, lose);
  const lost = () => ids.filter((id) => engine.get(id).problem?.reason === "outcome_unknown");
  expect(lost()).toEqual([]);
  // A canary is one request at a time, further and further apart.
  expect(engine.sent.length).toBeLessThan(25);
  // Who asks meanwhile is told so, and sends nothing.
  const before = engine.sent.length;
  expect(await engine.refresher.refresh(ids[count - 1] ?? "")).toBe("retry");
  expect(engine.sent).toHaveLength(before);
  await pass(600, (request) => request.answer({ tokenSet: tokenSet() }));
  expect(lost()).toEqual([]);
  expect(ids.filter((id) => engine.get(id).credentialRevision > 1n)).toHaveLength(count);
}, 60_000);
