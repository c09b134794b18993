import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer as createPlain } from "node:http";
import { createServer, type Server } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { run } from "../../../src/cli/program.js";
import { AuthType } from "../../../src/gen/nexus/v1/provider_pb.js";
import { fakeShell } from "../../cli/fake_shell.js";
import { Authority } from "../../fakes/certificates.js";
import { needs } from "../../needs.js";
import { World } from "../harness.js";
import { ToolWorld } from "./tool_world.js";

const token = "access-1-secret";

/** The blocks of one language in docs/tools.md. */
function blocks(language: string): string[] {
  const text = readFileSync("docs/tools.md", "utf8");
  return [...text.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, "gm"))].map(
    ([, block = ""]) => block,
  );
}

interface KubernetesUsers {
  readonly users: { name: string; user: { exec: { apiVersion: string; command: string; args: string[] } } }[];
}

describe("docs/tools.md, as it stands,", () => {
  let world: ToolWorld;
  const calls: string[] = [];
  const api = createPlain((request, response) => {
    calls.push(`${request.method} ${request.url} ${request.headers.authorization}`);
    response.end("{}");
  });
  beforeAll(async () => {
    await once(api.listen(0, "127.0.0.1"), "listening");
    world = await ToolWorld.make();
    const apiBaseUrl = `http://127.0.0.1:${(api.address() as AddressInfo).port}`;
    await world.connect("github", { api_base_url: apiBaseUrl });
    await world.import(
      {
        name: "twilio",
        authType: AuthType.BASIC_AUTH,
        strategy: {
          kind: { case: "basicAuth", value: { usernameField: "account_sid", passwordField: "auth_token" } },
        },
      },
      { account_sid: "AC1", auth_token: "twilio-secret" },
    );
    await world.import(
      {
        name: "aws",
        authType: AuthType.AWS_SIGV4,
        strategy: { kind: { case: "awsSigv4", value: { service: "s3" } } },
      },
      { access_key: "AKIA1", secret_key: "aws-secret", session_token: "aws-session" },
    );
    world.install("gh", '#!/bin/sh\necho "gh $* $GITHUB_TOKEN"\n');
    writeFileSync(
      join(world.home, "call.js"),
      'console.log("called", process.env.TWILIO_SID, process.env.TWILIO_TOKEN);',
    );
  });
  afterAll(async () => {
    api.closeAllConnections();
    api.close();
    await world.close();
  });

  it("runs each command that it shows", async () => {
    const scripts = blocks("sh").filter((block) => !block.startsWith("#!"));
    const output: string[] = [];
    for (const script of scripts) {
      const { code, stdout, stderr } = await world.run("sh", ["-ec", script]);
      expect([script, code, stderr]).toEqual([script, 0, ""]);
      output.push(stdout);
    }
    expect(output.join("")).toContain(`gh pr list ${token}\ncalled AC1 twilio-secret\n`);
    expect(calls).toEqual([`GET /user/repos?per_page=5 Bearer ${token}`, `POST /user/repos Bearer ${token}`]);
  });

  it("has a credential_process that makes AWS's document", async () => {
    const [, command = ""] = /^credential_process = (.*)$/m.exec(blocks("ini").join("")) ?? [];
    const { code, stdout, stderr } = await world.run("sh", ["-c", command]);
    expect([code, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toEqual({
      Version: 1,
      AccessKeyId: "AKIA1",
      SecretAccessKey: "aws-secret",
      SessionToken: "aws-session",
    });
  });

  describe("has a user of a kubeconfig", () => {
    let cluster: Server;
    const seen: (string | undefined)[] = [];
    const authority = new Authority();
    beforeAll(async () => {
      cluster = createServer(authority.issueServer(), (request, response) => {
        seen.push(request.headers.authorization);
        response.writeHead(200, { "content-type": "application/json" }).end('{"major":"1"}');
      });
      await once(cluster.listen(0, "127.0.0.1"), "listening");
    });
    afterAll(() => {
      cluster.closeAllConnections();
      cluster.close();
    });

    it("by which kubectl logs in", async (context) => {
      needs(context, "kubectl");
      const { users } = parse(blocks("yaml").join("")) as KubernetesUsers;
      const [user] = users;
      if (!user) throw new Error("no user");
      const { exec } = user.user;
      // The other provider is no OpenID provider. kubectl knows this version since 1.11, and gets no other unless it is asked for.
      exec.apiVersion = "client.authentication.k8s.io/v1beta1";
      exec.args = exec.args.map((arg) => (arg === "dex.id_token" ? "github" : arg));
      const server = `https://127.0.0.1:${(cluster.address() as AddressInfo).port}`;
      const ca = Buffer.from(authority.pem).toString("base64");
      const config = {
        apiVersion: "v1",
        kind: "Config",
        clusters: [{ name: "c", cluster: { server, "certificate-authority-data": ca } }],
        users,
        contexts: [{ name: "x", context: { cluster: "c", user: user.name } }],
        "current-context": "x",
      };
      const file = join(world.home, "kubeconfig");
      writeFileSync(file, stringify(config));
      const { code, stderr } = await world.run("kubectl", ["--kubeconfig", file, "get", "--raw", "/version"]);
      expect([code, stderr]).toEqual([0, ""]);
      expect(seen).toContain(`Bearer ${token}`);
    });

    it("whose id_token comes with its own expiry", async () => {
      const openid = await World.make();
      await openid.connect(await openid.register("dex"), "alice");
      const { users } = parse(blocks("yaml").join("")) as KubernetesUsers;
      const shell = fakeShell({ env: { NEXUS_DATA_DIR: openid.place.config.dataDir } });
      expect(await run(users[0]?.user.exec.args ?? [], shell)).toBe(0);
      const { apiVersion, status } = JSON.parse(shell.out());
      const { exp, aud } = JSON.parse(Buffer.from(status.token.split(".")[1], "base64url").toString());
      expect(aud).toBe(openid.provider.clients.post.clientId);
      expect([apiVersion, Date.parse(status.expirationTimestamp)]).toEqual([
        users[0]?.user.exec.apiVersion,
        exp * 1000,
      ]);
      await openid.close();
    });
  });
});
