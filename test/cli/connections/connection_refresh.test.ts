import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { beforeEach, describe, expect, it } from "vitest";
import { ErrorInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.js";
import { AuthType } from "../../../src/gen/nexus/v1/provider_pb.js";
import { perTest } from "../../lifetimes.js";
import { connectionId, FakeDaemon } from "../fake_daemon.js";
import { ended, fakeShell, jsonLines, startMs } from "../fake_shell.js";

describe("connections refresh", () => {
  const daemon = perTest(() => new FakeDaemon());
  beforeEach(async () => {
    daemon.addConnection();
    daemon.api.tokens = {
      refreshToken: () => ({
        token: {
          revision: 5n,
          credentials: { access_token: "new-secret" },
          expiresAt: timestampFromMs(startMs + 3_600_000),
        },
      }),
    };
    await daemon.start();
  });

  it("shows the new revision and how long it lives, and no token", async () => {
    const shell = await ended(0, ["connections", "refresh", "github"], fakeShell({ env: daemon.env }));
    expect(shell.out()).toBe("github is refreshed: revision 5, expires in 1h\n");
    expect(daemon.got("RefreshToken")).toMatchObject([{ connectionId }]);
    const json = await ended(
      0,
      ["connections", "refresh", "github", "--json"],
      fakeShell({ env: daemon.env }),
    );
    expect(jsonLines(json.out())).toMatchObject([{ token: { revision: "5" } }]);
    expect(json.out()).not.toContain("secret");
  });

  it("names the command that makes the link where a person is needed", async () => {
    const details = [{ desc: ErrorInfoSchema, value: { reason: "NOT_REFRESHABLE" } }];
    daemon.failures.set("RefreshToken", new ConnectError("no", Code.FailedPrecondition, undefined, details));
    daemon.addProvider({ authType: AuthType.OAUTH2 });
    const shell = await ended(
      1,
      ["connections", "refresh", connectionId.slice(0, 8)],
      fakeShell({ env: daemon.env }),
    );
    expect(shell.err()).toContain(`nexusd connect --connection ${connectionId}`);
    const named = await ended(1, ["connections", "refresh", "github"], fakeShell({ env: daemon.env }));
    expect(named.err()).toContain("nexusd connect github/alice\n");
  });

  it("names the command that replaces a key, to which nobody consents", async () => {
    const details = [{ desc: ErrorInfoSchema, value: { reason: "NOT_REFRESHABLE" } }];
    daemon.failures.set("RefreshToken", new ConnectError("no", Code.FailedPrecondition, undefined, details));
    daemon.addProvider({ authType: AuthType.API_KEY });
    const shell = await ended(1, ["connections", "refresh", "github"], fakeShell({ env: daemon.env }));
    expect(shell.err()).toMatch(/: no\nreplace it by hand: nexusd connections replace github\/alice\n$/);
  });
});
