import { expect, it } from "vitest";
import { ConsoleListener } from "../../../src/ext/console/console_listener.js";
import type { ConsoleSessions } from "../../../src/ext/console/sessions/console_sessions.js";
import { ApprovalService } from "../../../src/gen/nexus/v1/approval_pb.js";
import { PolicyService } from "../../../src/gen/nexus/v1/policy_pb.js";
import { Permissions } from "../../../src/model/access/permissions.js";
import { owner } from "../../../src/model/access/principal.js";
import { describeBy } from "../../../src/server/pages/page_words.js";
import type { BoundService } from "../../../src/service/pipeline/bound_service.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { loopback, opened, portOf } from "../../server/temporary.js";

const nobody = () => {
  throw new Error("nobody is signed in");
};
const admin = () =>
  new Permissions([{ role: "admin", restriction: undefined, place: { text: "", line: 0 } }], {
    ...{ text: "", line: 0 },
  });

const listenerAt = (usualPort: number, services: readonly BoundService[] = [], isSignedIn = false) =>
  new ConsoleListener({
    ...{ listen: loopback, setting: "NEXUS_CONSOLE_LISTEN", url: undefined, usualPort, services },
    sessions: {
      find: () => (isSignedIn ? { id: "a", principal: owner, expiresAtMs: 1_000 } : undefined),
    } as unknown as ConsoleSessions,
    permissionsOf: isSignedIn ? admin : nobody,
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

it("has a section of an extension where the daemon has that extension, and nowhere else", async () => {
  const paths = { "/rules": PolicyService, "/rules/try": PolicyService, "/approvals": ApprovalService };
  for (const [path, descriptor] of Object.entries(paths)) {
    const without = await opened(listenerAt(0, [], true));
    expect([path, (await fetch(`${without.url}${path}`)).status]).toEqual([path, 404]);
    // Found: what it calls is not bound here.
    const service = { descriptor, methods: [] } as unknown as BoundService;
    const having = await opened(listenerAt(0, [service], true));
    expect([path, (await fetch(`${having.url}${path}`)).status]).toEqual([path, 500]);
  }
});
