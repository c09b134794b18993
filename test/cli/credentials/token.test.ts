import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { parseCredentialName } from "../../../src/cli/credentials/read_credential.js";
import { run } from "../../../src/cli/program.js";
import { ErrorInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.js";
import { ConnectionStatus } from "../../../src/gen/nexus/v1/connection_pb.js";
import { connectionId, providerId } from "../fake_daemon.js";
import { fakeShell } from "../fake_shell.js";
import { basic, tokenWorld } from "./token_world.js";

it.each([
  ["github", "github", undefined],
  ["twilio.account_sid", "twilio", "account_sid"],
  ["github/ada.lovelace@example.com", "github/ada.lovelace@example.com", undefined],
  ["twilio.a.b/ada.l/work", "twilio/ada.l/work", "a.b"],
  [`${connectionId}.key`, connectionId, "key"],
])("%j names a connection, and a field before the user", (text, connection, field) => {
  expect(parseCredentialName(text)).toEqual({ connection, field });
});

describe("nexusd token", () => {
  const { daemon, serve, printed, refused } = tokenWorld();

  describe("names a connection", () => {
    it("by its id, in one call", async () => {
      expect(await printed([connectionId.toUpperCase()])).toBe("gho_secret\n");
      expect(daemon.requests.map(({ method }) => method)).toEqual(["GetToken"]);
    });

    it("by its provider, and by provider and user", async () => {
      expect(await printed(["github"])).toBe("gho_secret\n");
      expect(await printed(["github/alice"])).toBe("gho_secret\n");
      expect(daemon.got("GetToken")).toMatchObject([{ connectionId }, { connectionId }]);
    });

    it("and suggests the provider that is meant", async () => {
      expect(await refused(["githup"], 1)).toContain("did you mean github?");
    });

    it("and names the command that makes the link where there is none", async () => {
      daemon.connections.splice(0);
      expect(await refused(["github"], 22)).toContain(
        "you have no connection to github\nconnect an account: nexusd connect github\n",
      );
      expect(await refused(["github/ada"], 22)).not.toContain("connected already");
      expect(await refused(["github/ada's"], 22)).toContain("nexusd connect github --user 'ada'\\''s'\n");
      expect(await refused(["github/a%20b%/work"], 22)).toContain(
        "with the label work\nconnect an account: nexusd connect github --user a%20b% --label work\n",
      );
      expect(await refused(["github/a%20b"], 22)).toContain("--user 'a b'\n");
    });

    it("and names what is connected in its place", async () => {
      daemon.connections.splice(0);
      daemon.addConnection({ userId: "ada", label: "work", status: ConnectionStatus.ACTIVE });
      expect(await refused(["github"], 22)).toBe(
        "nexusd: you have no connection to github\nconnect an account: nexusd connect github\nconnected already: github/ada/work\n",
      );
      expect(daemon.got("ListConnections")).toMatchObject([{ providerId, status: ConnectionStatus.ACTIVE }]);
      expect(await refused(["github/bob"], 22)).not.toContain("connected already");
    });

    it("of a user whom the key is for: no consent helps with another", async () => {
      daemon.connections.splice(0);
      daemon.usersOfKey = ["ada"];
      const refusal = "nexusd: cannot use the connection of";
      expect(await refused(["github"], 1)).toBe(
        `${refusal} alice to github: this key is for user ada; you asked for alice: write github/USER\n`,
      );
      expect(await refused(["github/bob"], 1)).toBe(
        `${refusal} bob to github: this key is for user ada; you asked for bob\n`,
      );
      expect(await refused(["github/ada"], 22)).toContain("nexusd connect github --user ada\n");
    });

    it("and says what the daemon refuses, which is not that there is none", async () => {
      for (const method of ["ListConnections", "GetConnection"]) {
        daemon.failures.set(method, new ConnectError("not for you", Code.PermissionDenied));
      }
      expect(await refused(["github"], 1)).toContain("not for you");
    });

    it.each([
      ["ATTENTION_REQUIRED", connectionId, `nexusd connect --connection ${connectionId}\n`],
      ["ATTENTION_REQUIRED", "github", "nexusd connect github/alice\n"],
      [
        "CONNECTION_PENDING",
        "github",
        "to consent or to enter the key; for a new link: nexusd connect github/alice\n",
      ],
      ["CONNECTION_REVOKED", "github/alice", "make a new one: nexusd connect github/alice\n"],
    ])("and names the command where the user must consent again: %s %s", async (reason, text, command) => {
      const detail = { desc: ErrorInfoSchema, value: { reason } };
      daemon.failures.set("GetToken", new ConnectError("no", Code.FailedPrecondition, undefined, [detail]));
      expect(await refused([text], 22)).toContain(command);
    });

    it.each(["", "/ada", ".field", "github."])("and refuses %j", async (name) => {
      expect(await refused([name], 2)).toContain("names no credential");
    });
  });

  it("picks a field, before the user", async () => {
    serve(basic);
    expect(await printed(["github.account_sid"])).toBe("AC1\n");
    expect(await printed([`${connectionId}.auth_token`])).toBe("s3cret\n");
    expect(await printed(["github.auth_token/alice"])).toBe("s3cret\n");
    expect(await refused(["github.token"], 1)).toContain("no field token: it has account_sid, auth_token");
    expect(await refused(["github"], 1)).toContain(
      "not a single value, it has the fields account_sid, auth_token: name one, as in NAME.account_sid",
    );
    expect(await refused(["github.toString"], 1)).toContain("no field toString");
  });

  it("--format json: as --json", async () => {
    const document = JSON.parse(await printed(["github", "--format", "json"]));
    expect(document).toMatchObject({ credentials: { access_token: "gho_secret" } });
    expect(JSON.parse(await printed(["github", "--json"]))).toEqual(document);
    expect(await refused(["github", "--json", "--format", "plain"], 2)).toContain("exclude each other");
  });

  it("without extensions has the formats plain and json, and no --host", async () => {
    const bare = { ...fakeShell({ env: daemon.env }), extensions: [] };
    expect(await run(["token", "github", "--format", "netrc"], bare)).toBe(2);
    expect(bare.err()).toContain("Allowed choices are plain, json.");
    expect(await run(["token", "github", "--host", "a"], bare)).toBe(2);
    expect(bare.err()).toContain("unknown option '--host'");
  });
});
