import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer as createPlain } from "node:http";
import { createServer as createSecure, type Server as SecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { constants } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { run } from "../../../src/cli/program.js";
import { AuthType } from "../../../src/gen/nexus/v1/provider_pb.js";
import { fakeShell } from "../../cli/fake_shell.js";
import { Authority } from "../../fakes/certificates.js";
import { needs } from "../../needs.js";
import { World } from "../harness.js";
import { type Running, ToolWorld } from "./tool_world.js";

describe("exec", () => {
  const token = "access-1-secret";

  describe("nexusd exec", () => {
    let world: ToolWorld;
    let connectionId: string;
    beforeAll(async () => {
      world = await ToolWorld.make();
      connectionId = await world.connect("github");
      await world.import(
        { name: "twilio", authType: AuthType.BASIC_AUTH },
        { username: "AC1", password: "twilio-secret" },
      );
      world.installNode(
        "gh",
        `const { env, argv } = process;
       process.stdout.write(JSON.stringify({ env, args: argv.slice(2) }));
       process.exit(Number(env.EXIT ?? 0));`,
      );
      // Says each signal, ends with 5 at SIGTERM, and hangs until then.
      world.installNode(
        "patient",
        `for (const name of ["SIGINT", "SIGHUP", "SIGUSR2", "SIGTERM"]) {
         process.on(name, () => {
           process.stdout.write("got " + name + "\\n");
           if (name === "SIGTERM") process.exit(5);
         });
       }
       setInterval(() => {}, 1000);
       process.stdout.write("ready\\n");`,
      );
    });
    afterAll(() => world.close());

    const exec = (args: string[], env: NodeJS.ProcessEnv = {}) => world.nexusd(["exec", ...args], { env });

    it("names the variable that it cannot fill", async () => {
      const { code, stderr } = await exec(["--env", "TOKEN=gihub", "--", "gh"]);
      expect(code).toBe(1);
      expect(stderr).toBe(
        "nexusd: --env TOKEN: cannot find the provider gihub: not found\ndid you mean github?\n",
      );
    });

    it("runs the program with its credentials, arguments and environment, and ends as it ends", async () => {
      const variables = ["--env", `GITHUB_TOKEN=github/${world.user}`, "--env", "TWILIO_SID=twilio.username"];
      const { code, stdout, stderr } = await exec(
        [
          ...variables,
          "--env",
          `TWILIO_TOKEN=twilio.password/${world.user}`,
          "--",
          "gh",
          "pr",
          "list",
          "--json",
          "a b",
        ],
        { EXIT: "7", OTHER: "stays", NEXUS_API_KEY: "for-nexusd-alone" },
      );
      expect([code, stderr]).toEqual([7, ""]);
      expect(stdout).not.toContain("NEXUS_API_KEY");
      expect(JSON.parse(stdout)).toMatchObject({
        args: ["pr", "list", "--json", "a b"],
        env: { GITHUB_TOKEN: token, TWILIO_SID: "AC1", TWILIO_TOKEN: "twilio-secret", OTHER: "stays" },
      });
      expect((await exec(["--env", `A=${connectionId}`, "--", "gh"])).code).toBe(0);
    });

    it("passes standard input on", async () => {
      world.install("reads", '#!/bin/sh\nread line\necho "$line $TOKEN"\n');
      const { stdout } = await world.nexusd(["exec", "--env", "TOKEN=github", "--", "reads"], {
        stdin: "hello\n",
      });
      expect(stdout).toBe(`hello ${token}\n`);
    });

    it("keeps the credential out of every command line, of its own environment and of the log", async () => {
      world.installNode(
        "peeps",
        `const { readFileSync } = require("node:fs");
       const read = (pid, name) => readFileSync("/proc/" + pid + "/" + name, "utf8");
       const { pid, ppid } = process;
       process.stdout.write(JSON.stringify({
         seen: [read(pid, "cmdline"), read(ppid, "cmdline"), read(ppid, "environ")],
         own: read(pid, "environ"),
       }));`,
      );
      const { stdout } = await exec(["--env", "GITHUB_TOKEN=github", "--", "peeps"]);
      const { seen, own } = JSON.parse(stdout) as { seen: string[]; own: string };
      expect(own).toContain(token);
      expect(seen.join("\n")).toContain("--env");
      expect(seen.join("\n")).not.toContain(token);
      expect(world.scripted.place.logLines.join("\n")).not.toContain(token);
    });

    describe("signals", () => {
      const patient = async (): Promise<Running> => {
        const running = world.start("nexusd", ["exec", "--env", "A=github", "--", "patient"]);
        await running.wrote("ready");
        return running;
      };

      it("are passed on to the program, whose exit code counts", async () => {
        const running = await patient();
        for (const name of ["SIGINT", "SIGHUP", "SIGUSR2"] as const) {
          running.child.kill(name);
          await running.wrote(`got ${name}\n`);
        }
        running.child.kill("SIGTERM");
        const { code, stdout } = await running.ended;
        expect(code).toBe(5);
        expect(stdout).toBe("ready\ngot SIGINT\ngot SIGHUP\ngot SIGUSR2\ngot SIGTERM\n");
      });

      it.each(["SIGTERM", "SIGKILL"] as const)(
        "that end the program are 128 and their number: %s",
        async (name) => {
          world.installNode("falls", `process.kill(process.pid, "${name}"); setInterval(() => {}, 1000);`);
          expect((await exec(["--env", "A=github", "--", "falls"])).code).toBe(128 + constants.signals[name]);
        },
      );

      it("of a terminal reach the program once, which the terminal sends to it too", async (context) => {
        needs(context, "script");
        world.installNode(
          "counts",
          `let count = 0;
         process.on("SIGINT", () => { count++; setTimeout(() => { console.log("count " + count); process.exit(0); }, 300); });
         setInterval(() => {}, 1000);
         console.log("ready");`,
        );
        const running = world.start("script", ["-qec", "nexusd exec --env A=github -- counts", "/dev/null"], {
          openStdin: true,
        });
        await running.wrote("ready");
        running.child.stdin?.write("\x03");
        const { stdout } = await running.ended;
        expect(stdout).toContain("count 1");
      });
    });

    describe("does not start the program", () => {
      const started = (): boolean => existsSync(join(world.home, "started"));
      const refused = async (args: string[], code: number): Promise<string> => {
        world.install("marks", "#!/bin/sh\ntouch started\n");
        const ended = await exec([...args, "--", "marks"]);
        expect([ended.code, ended.stdout, started()]).toEqual([code, "", false]);
        return ended.stderr;
      };

      it("while a person must consent, and names the command that makes the link", async () => {
        await world.scripted.register({ name: "slack" });
        expect(await refused(["--env", "A=github", "--env", "B=slack"], 22)).toContain(
          "you have no connection to slack\nconnect an account: nexusd connect slack\n",
        );
        const providerId = await world.scripted.register({ name: "pending" });
        await world.scripted.request(providerId);
        expect(await refused(["--env", "B=pending/ada"], 22)).toContain("nexusd connect pending/ada\n");
      });

      it("for a provider that does not exist, and suggests the one that is meant", async () => {
        expect(await refused(["--env", "A=githu"], 1)).toContain("did you mean github?");
      });

      it("without the daemon", async () => {
        const ended = await world.nexusd(["exec", "--env", "A=github", "--", "marks"], {
          env: { NEXUS_DATA_DIR: join(world.home, "nowhere") },
        });
        expect([ended.code, started()]).toEqual([20, false]);
        expect(ended.stderr).toContain("the daemon is not reachable");
      });

      it("with variables that cannot be", async () => {
        expect(await refused([], 2)).toContain(
          "name at least one variable, such as --env GITHUB_TOKEN=github",
        );
        expect(await refused(["--env", "GITHUB_TOKEN"], 2)).toContain("must be NAME=CONNECTION");
        expect(await refused(["--env", "1A=github"], 2)).toContain("must be NAME=CONNECTION");
        expect(await refused(["--env", "A="], 2)).toContain("names no credential");
        expect(await refused(["--env", "A=github", "--env", "A=twilio"], 2)).toContain("names A twice");
        expect(await refused(["--env", "A=twilio.sid"], 1)).toContain(
          "no field sid: it has password, username",
        );
      });

      it("that is none", async () => {
        const missing = await exec(["--env", "A=github", "--", "no-such-program"]);
        expect([missing.code, missing.stderr]).toEqual([
          127,
          expect.stringContaining("no-such-program cannot be started: there is no such program"),
        ]);
        const plain = join(world.home, "plain");
        writeFileSync(plain, "", { mode: 0o600 });
        expect(await exec(["--env", "A=github", "--", plain])).toMatchObject({ code: 126 });
        expect((await exec(["--env", "A=github"])).code).toBe(2);
      });
    });
  });
});

describe("documented", () => {
  const token = "access-1-secret";

  /** The blocks of one language in docs/tools.md. */
  function blocks(language: string): string[] {
    const text = readFileSync("docs/tools.md", "utf8");
    return [...text.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, "gm"))].map(
      ([, block = ""]) => block,
    );
  }

  interface KubernetesUsers {
    readonly users: {
      name: string;
      user: { exec: { apiVersion: string; command: string; args: string[] } };
    }[];
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
            kind: { case: "basicAuth", value: { usernameField: "username", passwordField: "password" } },
          },
        },
        { username: "AC1", password: "twilio-secret" },
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
      // What asks a registry (`bash`) is played in token_formats.test.ts, and what asks a person in adopt.test.ts.
      const scripts = blocks("sh").filter((block) => !/^(#!|nexusd adopt)/.test(block));
      const output: string[] = [];
      for (const script of scripts) {
        const { code, stdout, stderr } = await world.run("sh", ["-ec", script]);
        expect([script, code, stderr]).toEqual([script, 0, ""]);
        output.push(stdout);
      }
      expect(output.join("")).toContain(`gh pr list ${token}\ncalled AC1 twilio-secret\n`);
      expect(calls).toEqual([
        `GET /user/repos?per_page=5 Bearer ${token}`,
        `POST /user/repos Bearer ${token}`,
      ]);
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
      let cluster: SecureServer;
      const seen: (string | undefined)[] = [];
      const authority = new Authority();
      beforeAll(async () => {
        cluster = createSecure(authority.issueServer(), (request, response) => {
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
        const { code, stderr } = await world.run("kubectl", [
          "--kubeconfig",
          file,
          "get",
          "--raw",
          "/version",
        ]);
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
});
