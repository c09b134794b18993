import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { expect, it } from "vitest";
import { keepLease } from "../../../src/cli/admin/lease.js";
import { run } from "../../../src/cli/program.js";
import type { DaemonSession } from "../../../src/cli/shell/daemon_command.js";
import { perTest } from "../../lifetimes.js";
import { FakeDaemon } from "../fake_daemon.js";
import { fakeShell } from "../fake_shell.js";

/** A session of which each renewal is answered so. */
function holder(...answers: (number | Code)[]) {
  const shell = fakeShell();
  let calls = 0;
  const renewLease = async () => {
    const answer = answers[Math.min(calls++, answers.length - 1)] ?? 0;
    if (answer < 100) throw new ConnectError("no", answer);
    return { lease: durationFromMs(answer), endsAt: timestampFromMs(0) };
  };
  const stop = keepLease({ shell, daemon: { access: { renewLease } } } as unknown as DaemonSession);
  const after = async (ms: number): Promise<number> => {
    await new Promise(setImmediate);
    shell.clock.advance(ms);
    await new Promise(setImmediate);
    return calls;
  };
  return { shell, stop, after };
}

it("renews a lease whenever a third of it has passed, and soon after a renewal that failed, until it is stopped", async () => {
  const { stop, after } = holder(60_000, Code.Unavailable, 60_000);
  expect([await after(0), await after(19_999), await after(1)]).toEqual([1, 1, 2]);
  expect([await after(2_000), await after(20_000)]).toEqual([3, 4]);
  await stop();
  expect(await after(60_000)).toBe(4);
});

it("asks once where there is no lease, and says that one has ended", async () => {
  for (const code of [Code.FailedPrecondition, Code.PermissionDenied, Code.Unimplemented]) {
    const { after, shell } = holder(code);
    expect([await after(0), await after(600_000), shell.err()]).toEqual([1, 1, ""]);
  }
  const { after, shell } = holder(60_000, Code.Unauthenticated);
  expect([await after(20_000), await after(600_000), shell.err()]).toEqual([2, 2, "nexusd: no\n"]);
});

const daemon = perTest(() => new FakeDaemon());

it("shows the lease of a key in the list, and when it ends", async () => {
  const shell = fakeShell({ env: daemon.env });
  const leaseEndsAt = timestampFromMs(shell.clock.nowMs() + 300_000);
  const apiKeys = [{ name: "ci", lease: durationFromMs(600_000), leaseEndsAt }, { name: "ever" }];
  daemon.api.access = { listApiKeys: () => ({ apiKeys }) };
  await daemon.start();
  expect(await run(["keys", "list"], shell)).toBe(0);
  expect(shell.out()).toMatch(/ in 5m +10m /);
});
