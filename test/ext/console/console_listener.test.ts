import { expect, it } from "vitest";
import { ConsoleListener } from "../../../src/ext/console/console_listener.js";
import type { ConsoleSessions } from "../../../src/ext/console/sessions/console_sessions.js";
import { describeBy } from "../../../src/server/pages/page_words.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { loopback, opened, portOf } from "../../server/temporary.js";

const listenerAt = (usualPort: number) =>
  new ConsoleListener({
    ...{ listen: loopback, setting: "NEXUS_CONSOLE_LISTEN", url: undefined, usualPort, services: [] },
    sessions: { find: () => undefined } as unknown as ConsoleSessions,
    permissionsOf: () => {
      throw new Error("nobody is signed in");
    },
    ...{ describe: describeBy(() => undefined), settings: () => [], clock: new ManualClock(0) },
    onUnexpected: () => undefined,
  });

it("has the same address at each start, and another one only where somebody else has that", async () => {
  const any = await opened(listenerAt(0));
  const usual = portOf(any);
  await any.close(AbortSignal.abort());
  const again = await opened(listenerAt(usual));
  expect(again.url).toBe(`http://127.0.0.1:${usual}`);
  const second = await opened(listenerAt(usual));
  expect(portOf(second)).not.toBe(usual);
  expect((await fetch(`${second.url}/connections`)).status).toBe(401);
});
