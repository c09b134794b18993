import { expect, it } from "vitest";
import type { WaitingApproval } from "../../../src/ext/approvals/approvals.js";
import { Ceremonies } from "../../../src/ext/approvals/ceremonies.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { perTest } from "../../lifetimes.js";

const place = { origin: "https://approve.example", rpId: "approve.example" };
const tooOld = "This page was answered already, or is too old. Try again.";
/** What is asked for next, once a page may be answered. */
const unknown = "This passkey is not registered here.";

const waiting = (id: string) =>
  ({ id, digest: `digest of ${id}`, held: { policyDigest: "policy", rule: { line: 1 } } }) as WaitingApproval;

const world = perTest(() => {
  const clock = new ManualClock(1_800_000_000_000);
  const ceremonies = new Ceremonies({ approvers: { find: () => undefined } as never, clock });
  const answered = (nonce: string) =>
    ceremonies
      .approverOf(waiting("one"), { nonce, credential: '{"id":"AA"}' }, place)
      .then(String, ({ message }: Error) => message);
  return { clock, ceremonies, answered, close: () => undefined };
});

it("has a page answered once, within ten minutes, by a nonce of its own", async () => {
  const { clock, ceremonies, answered } = world;
  const { nonce, challenge } = ceremonies.forApproval(waiting("one"));
  expect(ceremonies.forApproval(waiting("one")).challenge).not.toBe(challenge);
  const [madeAtMs = "", random = "", seal = ""] = nonce.split(".");
  const later = Number(madeAtMs) + 1;
  for (const forged of ["", ".", "..", `${later}.${random}.${seal}`, `${nonce}.`, `${madeAtMs}.${random}.x`])
    expect([forged, await answered(forged)]).toEqual([forged, tooOld]);
  clock.advance(599_999);
  expect([await answered(nonce), await answered(nonce)]).toEqual([unknown, tooOld]);
  const late = ceremonies.forApproval(waiting("one")).nonce;
  clock.advance(600_000);
  expect(await answered(late)).toBe(tooOld);
});

it("keeps a page good however often an agent loads the page of its own request", async () => {
  const { ceremonies, answered } = world;
  const { nonce } = ceremonies.forApproval(waiting("one"));
  for (let count = 0; count < 20_000; count++) ceremonies.forApproval(waiting("other"));
  expect(await answered(nonce)).toBe(unknown);
});
