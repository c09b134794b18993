import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseCredentialName } from "../../../src/cli/credentials/read_credential.js";
import { run } from "../../../src/cli/program.js";
import { ErrorInfoSchema } from "../../../src/gen/google/rpc/error_details_pb.js";
import { ConnectionStatus } from "../../../src/gen/nexus/v1/connection_pb.js";
import type { TokenSchema } from "../../../src/gen/nexus/v1/token_pb.js";
import { connectionId, FakeDaemon } from "../fake_daemon.js";
import { type FakeShell, fakeShell, startMs } from "../fake_shell.js";

type TokenShape = MessageInitShape<typeof TokenSchema>;

const oauth2: TokenShape = {
  strategy: {
    kind: {
      case: "oauth2",
      value: { headerName: "Authorization", valuePrefix: "Bearer ", credentialField: "access_token" },
    },
  },
  credentials: { access_token: "gho_secret" },
  expiresAt: timestampFromMs(startMs + 3600_500),
};
const basic: TokenShape = {
  strategy: {
    kind: { case: "basicAuth", value: { usernameField: "account_sid", passwordField: "auth_token" } },
  },
  credentials: { account_sid: "AC1", auth_token: "s3cret" },
};
const aws: TokenShape = {
  strategy: { kind: { case: "awsSigv4", value: { service: "s3", region: "eu-central-1" } } },
  credentials: { access_key: "AKIA1", secret_key: "wJal/r" },
};

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
  let daemon: FakeDaemon;
  let served: TokenShape;
  beforeEach(async () => {
    daemon = new FakeDaemon();
    daemon.addProvider({ apiBaseUrl: "https://api.github.com/v3" });
    daemon.addConnection({ status: ConnectionStatus.ACTIVE });
    serve(oauth2);
    daemon.tokenApi = { getToken: () => ({ token: served }) };
    await daemon.start();
  });
  afterEach(() => daemon.stop());

  const serve = (token: TokenShape): void => {
    served = token;
  };
  const token = async (
    args: string[],
    env: Record<string, string> = {},
  ): Promise<FakeShell & { code: number }> => {
    const shell = fakeShell({ env: { ...daemon.env, ...env } });
    return Object.assign(shell, { code: await run(["token", ...args], shell) });
  };
  const printed = async (args: string[], env?: Record<string, string>): Promise<string> => {
    const shell = await token(args, env);
    expect([shell.err(), shell.code]).toEqual(["", 0]);
    return shell.out();
  };
  const refused = async (args: string[], code: number, env?: Record<string, string>): Promise<string> => {
    const shell = await token(args, env);
    expect([shell.out(), shell.code]).toEqual(["", code]);
    expect(shell.err()).not.toMatch(/gho_secret|s3cret|wJal/);
    return shell.err();
  };

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
        "you have no connection to github\nconnect an account: nexusd connect github\nsee those of other users: nexusd connections\n",
      );
      expect(await refused(["github/ada"], 22)).not.toContain("other users");
      expect(await refused(["github/ada's"], 22)).toContain("nexusd connect github --user 'ada'\\''s'\n");
      expect(await refused(["github/a%20b%/work"], 22)).toContain("--user a%20b% --label work\n");
      expect(await refused(["github/a%20b"], 22)).toContain("--user 'a b'\n");
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

  describe("--format", () => {
    it("header: a line for curl -H @-", async () => {
      expect(await printed(["github", "--format", "header"])).toBe("Authorization: Bearer gho_secret\n");
      serve(basic);
      const value = Buffer.from("AC1:s3cret").toString("base64");
      expect(await printed(["github", "--format", "header"])).toBe(`Authorization: Basic ${value}\n`);
      serve(aws);
      expect(await refused(["github", "--format", "header"], 1)).toContain("use nexusd curl");
      serve({ ...oauth2, credentials: { access_token: "gho_secret\r\nx: y" } });
      expect(await refused(["github", "--format", "header"], 1)).toContain("control characters");
    });

    it("json: as --json", async () => {
      const document = JSON.parse(await printed(["github", "--format", "json"]));
      expect(document).toMatchObject({ credentials: { access_token: "gho_secret" } });
      expect(JSON.parse(await printed(["github", "--json"]))).toEqual(document);
      expect(await refused(["github", "--json", "--format", "plain"], 2)).toContain("exclude each other");
    });

    it("aws-process: what credential_process reads", async () => {
      serve(aws);
      const document = { Version: 1, AccessKeyId: "AKIA1", SecretAccessKey: "wJal/r" };
      expect(JSON.parse(await printed(["github", "--format", "aws-process"]))).toEqual(document);
      serve({
        ...aws,
        credentials: { ...aws.credentials, session_token: "st" },
        expiresAt: timestampFromMs(startMs + 999),
      });
      expect(JSON.parse(await printed(["github", "--format", "aws-process"]))).toEqual({
        ...document,
        SessionToken: "st",
        Expiration: "2026-11-24T12:00:00Z",
      });
      serve(oauth2);
      expect(await refused(["github", "--format", "aws-process"], 1)).toContain(
        "no fields access_key and secret_key",
      );
    });

    it("kubectl-exec: an ExecCredential of the version that is asked for, with an absolute expiry", async () => {
      const status = { token: "gho_secret", expirationTimestamp: "2026-11-24T13:00:00Z" };
      const args = ["github", "--format", "kubectl-exec"];
      const made = async (env?: Record<string, string>): Promise<unknown> =>
        JSON.parse(await printed(args, env));
      const v1 = { apiVersion: "client.authentication.k8s.io/v1", kind: "ExecCredential", status };
      expect(await made()).toEqual(v1);
      const info = (apiVersion: string): Record<string, string> => ({
        KUBERNETES_EXEC_INFO: JSON.stringify({
          kind: "ExecCredential",
          apiVersion,
          spec: { interactive: false },
        }),
      });
      expect(await made(info("client.authentication.k8s.io/v1"))).toEqual(v1);
      const apiVersion = "client.authentication.k8s.io/v1beta1";
      expect(await made(info(apiVersion))).toEqual({ ...v1, apiVersion });
      for (const env of [
        info("client.authentication.k8s.io/v2"),
        { KUBERNETES_EXEC_INFO: "null" },
        { KUBERNETES_EXEC_INFO: "{" },
      ]) {
        expect(await refused(args, 2, env)).toContain("KUBERNETES_EXEC_INFO asks for another apiVersion");
      }
      const { expiresAt: _, ...endless } = oauth2;
      serve(endless);
      expect(await made()).toEqual({ ...v1, status: { token: "gho_secret" } });
    });

    it("kubectl-exec: the id_token with its own expiry, for a cluster that trusts the issuer", async () => {
      const claims = Buffer.from(JSON.stringify({ exp: startMs / 1000 + 60 })).toString("base64url");
      serve({ ...oauth2, idToken: `e30.${claims}.sig` });
      const document = JSON.parse(await printed(["github.id_token", "--format", "kubectl-exec"]));
      expect(document.status).toEqual({
        token: `e30.${claims}.sig`,
        expirationTimestamp: "2026-11-24T12:01:00Z",
      });
      serve(oauth2);
      expect(await refused(["github.id_token"], 1)).toContain("no field id_token: it has access_token");
    });

    it("netrc: a line with the host of the API, or another", async () => {
      const args = ["github", "--format", "netrc"];
      expect(await printed(args)).toBe("machine api.github.com login oauth2 password gho_secret\n");
      expect(await printed([...args, "--host", "bitbucket.org"])).toBe(
        "machine bitbucket.org login x-token-auth password gho_secret\n",
      );
      serve(basic);
      expect(await printed(args)).toBe("machine api.github.com login AC1 password s3cret\n");
      serve({ ...basic, credentials: { account_sid: "AC1", auth_token: "s3cret with spaces" } });
      expect(await refused(args, 1)).toContain("its password has characters that a netrc file cannot hold");
      expect(await refused([...args, "--host", "a b"], 2)).toContain("--host must be a host name alone");
      expect(await refused(["github", "--host", "a"], 2)).toContain(
        "--host belongs to --format netrc and npmrc",
      );
      serve(oauth2);
      daemon.providers.splice(0);
      daemon.addProvider();
      expect(await refused(args, 2)).toContain("no API base URL to take the host from: give --host");
    });

    it("mcp-headers: a JSON object of headers, and none that each request would need anew", async () => {
      const args = ["github", "--format", "mcp-headers"];
      expect(JSON.parse(await printed(args))).toEqual({ Authorization: "Bearer gho_secret" });
      serve(aws);
      expect(await refused(args, 1)).toContain("does not fit the format mcp-headers");
      serve({ ...oauth2, tokenType: "DPoP" });
      expect(await refused(args, 1)).toContain("bound to a key");
    });

    it("token-json: the value, and when it expires if that is known", async () => {
      const args = ["github", "--format", "token-json"];
      expect(await printed(args)).toBe('{"token":"gho_secret","expires_at":"2026-11-24T13:00:00Z"}\n');
      serve(basic);
      expect(JSON.parse(await printed(["github.auth_token", ...args.slice(1)]))).toEqual({ token: "s3cret" });
      expect(await refused(args, 1)).toContain("not a single value");
    });

    it("npmrc: a line for the registry of the API, or another", async () => {
      const args = ["github", "--format", "npmrc"];
      expect(await printed(args)).toBe("//api.github.com/v3/:_authToken=gho_secret\n");
      const elsewhere = [...args, "--host", "npm.example:8443"];
      expect(await printed(elsewhere)).toBe("//npm.example:8443/:_authToken=gho_secret\n");
      serve(basic);
      const login = Buffer.from("AC1:s3cret").toString("base64");
      expect(await printed(args)).toBe(`//api.github.com/v3/:_auth=${login}\n`);
      for (const value of ["a;b", "a#b", "$HOME", "a b", '"a"', "'a'", "a\\b", "a`b", ""]) {
        serve({ ...oauth2, credentials: { access_token: value } });
        expect((await token(args)).out()).toBe("");
      }
    });
  });
});
