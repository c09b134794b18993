import { expect, test } from "vitest";
import { runScript } from "../../refresh_model/run.js";
import type { Step } from "../../refresh_model/steps.js";

/** The shortest scripts that `npm run test:model` failed with, and what they were about. */
const scripts: Readonly<Record<string, readonly Step[]>> = {
  "a crash between the demand for a nonce and the repeated request counts as an attempt": [
    { do: "connect", provider: "south" },
    { do: "new_nonce", provider: "south" },
    { do: "withdraw", at: 0 },
    { do: "trap", kind: "before_connect", after: 1 },
    { do: "force", at: 0 },
  ],
  "the first refresh of an import may be lost in a crash, and is probed": [
    { do: "script", provider: "north", answers: ["hollow", "rotate"] },
    { do: "trap", kind: "after_answer", after: 1 },
    { do: "import" },
  ],
  "an import may be refused the client before anybody has looked at it": [
    { do: "script", provider: "north", answers: ["hollow", "invalid_scope"] },
    { do: "import" },
  ],
};

test.for(Object.entries(scripts))("%s", async ([, script]) => {
  let steps = 0;
  await runScript(0, script, () => void steps++);
  expect(steps).toBe(script.length);
});
