import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { describe, expect, it } from "vitest";
import { basic, oauth2, tokenWorld } from "../../cli/credentials/token_world.js";
import { startMs } from "../../cli/fake_shell.js";

const aws: Parameters<ReturnType<typeof tokenWorld>["serve"]>[0] = {
  strategy: { kind: { case: "awsSigv4", value: { service: "s3", region: "eu-central-1" } } },
  credentials: { access_key: "AKIA1", secret_key: "wJal/r" },
};

describe("nexusd token --format", () => {
  const { daemon, serve, token, printed, refused } = tokenWorld();

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
