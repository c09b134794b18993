import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, it } from "vitest";
import { run } from "../../../src/cli/program.js";
import { perTest } from "../../lifetimes.js";
import { FakeDaemon } from "../fake_daemon.js";
import { fakeShell } from "../fake_shell.js";

const daemon = perTest(() => new FakeDaemon());

it("says of a key in the list that it has expired", async () => {
  const shell = fakeShell({ env: daemon.env });
  const nowMs = shell.clock.nowMs();
  const key = (name: string, expiresInMs?: number) => ({
    name,
    ...(expiresInMs !== undefined && { expiresAt: timestampFromMs(nowMs + expiresInMs) }),
  });
  const apiKeys = [key("ci", 3_600_000), key("ever"), key("old", -7_200_000)];
  daemon.api.access = { listApiKeys: () => ({ apiKeys }) };
  await daemon.start();
  expect(await run(["keys", "list"], shell)).toBe(0);
  const [title = "", ...rows] = shell.out().trimEnd().split("\n");
  const at = title.indexOf("EXPIRES");
  expect(rows.map((row) => row.slice(at).split(/ {2,}/)[0])).toEqual(["in 1h", "never", "expired 2h ago"]);
});
