import { describe, expect, it } from "vitest";
import type { StepUp } from "../../../src/model/connections/connection.js";
import {
  askableScopes,
  nextStepUp,
  stepUpAnswered,
  stepUpScopes,
} from "../../../src/model/connections/step_up.js";
import { aConnection } from "../../samples.js";

const dayMs = 24 * 3_600_000;
const now = 1_800_000_000_000;
const first: StepUp = { scopes: ["repo"], attempts: 1, lastAtMs: now, wanted: true };

describe("nextStepUp", () => {
  const answered = { ...first, wanted: false };
  const rows: readonly (readonly [
    name: string,
    before: StepUp | undefined,
    consented: string[],
    named: string[],
    expected: unknown,
  ])[] = [
    ["the first", undefined, [], ["repo"], first],
    ["the first, for what the consent asked for", undefined, ["repo"], ["repo"], { ...first, attempts: 2 }],
    [
      "the first, for more than that",
      undefined,
      ["repo"],
      ["repo", "gist"],
      { ...first, scopes: ["repo", "gist"] },
    ],
    ["a challenge without scopes", undefined, ["a"], [], { ...first, scopes: [] }],
    ["the same again, which nobody answered", first, [], ["repo"], first],
    ["more, before anybody answered", first, [], ["repo", "gist"], { ...first, scopes: ["repo", "gist"] }],
    ["the same after it was granted", answered, ["repo"], ["repo"], { ...first, attempts: 2 }],
    ["the same after it was refused", answered, [], ["repo"], { ...first, attempts: 2 }],
    [
      "another after it was granted",
      { ...answered, attempts: 3 },
      ["repo"],
      ["gist"],
      { ...first, scopes: ["gist"] },
    ],
    [
      "another after it was refused",
      { ...answered, attempts: 2 },
      [],
      ["gist"],
      { ...first, scopes: ["gist"], attempts: 3 },
    ],
    ["a fourth", { ...answered, attempts: 3 }, ["repo"], ["repo"], "exhausted"],
    ["a fourth, the others refused", { ...answered, attempts: 3 }, [], ["gist"], "exhausted"],
    ["a fourth, a day later", { ...answered, attempts: 3, lastAtMs: now - dayMs }, ["repo"], ["repo"], first],
    [
      "a fourth, of a time to come",
      { ...answered, attempts: 3, lastAtMs: now + dayMs },
      ["repo"],
      ["repo"],
      first,
    ],
  ];
  it.each(rows)("%s", (_name, stepUp, consentedScopes, named, expected) => {
    const before = aConnection({ stepUp, consentedScopes, grantedScopes: consentedScopes });
    expect(nextStepUp(before, named, now)).toEqual(expected);
  });

  it("stops when the grant that a step-up brought lacks what was asked for", () => {
    const consentedScopes = ["user", "repo"];
    const before = aConnection({ stepUp: answered, consentedScopes, grantedScopes: ["user"] });
    expect(nextStepUp(before, ["repo"], now)).toBe("exhausted");
    expect(nextStepUp(before, ["gist"], now)).toMatchObject({ scopes: ["gist"], attempts: 1 });
    expect(nextStepUp(before, ["repo"], now + dayMs)).toMatchObject({ attempts: 1 });
  });

  it("asks for no more than a request may hold, those that are there counted", () => {
    const many = Array.from({ length: 100 }, (_, index) => `s${index}`);
    const askable = askableScopes(aConnection({ consentedScopes: ["a", "b"] }), ["a", ...many]);
    expect(askable).toEqual(["a", ...many.slice(0, 98)]);
  });

  it("remembers what a person answered, and nothing of what nobody was asked", () => {
    expect(stepUpAnswered(aConnection({ stepUp: first }))).toEqual({ stepUp: answered });
    expect(stepUpAnswered(aConnection())).toEqual({});
  });
});

describe("stepUpScopes", () => {
  it("tells new scopes from those that are there", () => {
    const connection = aConnection({ stepUp: first, consentedScopes: ["user", "old"] });
    expect(stepUpScopes(connection, ["user", "repo", "gist"])).toEqual({
      missing: ["repo", "gist"],
      others: ["user"],
    });
  });
});
