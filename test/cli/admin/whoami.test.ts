import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { Role } from "../../../src/gen/nexus/v1/access_pb.js";
import { perTest } from "../../lifetimes.js";
import { FakeDaemon } from "../fake_daemon.js";
import { ended, fakeShell, jsonLines, startMs } from "../fake_shell.js";

describe("whoami", () => {
  const daemon = perTest(() => new FakeDaemon());
  it("shows the principal, its role, what restricts it and until when", async () => {
    daemon.api.access = {
      whoAmI: () => ({
        principal: "key:ci",
        role: Role.AGENT,
        restrictions: [{ userIds: ["ada"] }],
        expiresAt: timestampFromMs(startMs + 86_400_000),
      }),
    };
    await daemon.start();
    const shell = await ended(0, ["whoami"], fakeShell({ env: daemon.env }));
    expect(shell.out()).toMatch(/^principal +key:ci$/m);
    expect(shell.out()).toMatch(/^role +agent$/m);
    expect(shell.out()).toMatch(/^restricted to +.*ada/m);
    expect(shell.out()).toMatch(/^until +2026-11-25T12:00:00Z \(in 1d\)$/m);
    expect(shell.out()).toContain(`unix:${daemon.socketPath}`);
    const json = await ended(0, ["whoami", "--json"], fakeShell({ env: daemon.env }));
    expect(jsonLines(json.out())).toMatchObject([{ principal: "key:ci", role: "ROLE_AGENT" }]);
  });

  it("says that a principal without a role may do nothing", async () => {
    daemon.api.access = { whoAmI: () => ({ principal: "uid:1000" }) };
    await daemon.start();
    const shell = await ended(0, ["whoami"], fakeShell({ env: daemon.env }));
    expect(shell.out()).toContain("none: everything is denied");
  });
});
