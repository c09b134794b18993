import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { DaemonProcess } from "../daemon/daemon_process.js";
import { perTest } from "../lifetimes.js";
import { temporaryFolder } from "../temporary_folder.js";
import { FrozenFolder } from "./frozen_world.js";
import { built, FrozenVersion, programOf, root } from "./version.js";

/** Prints a token, the next one once the stream brought it, and the link for a user who has not consented. */
const programs = {
  npm: `
import { ConsentRequired, Nexus } from "nexusd-client";
const nexus = new Nexus();
const first = await nexus.token("acme", { user: "ada" });
console.log(first.credentials.access_token);
let next = first;
while (next.credentials.access_token === first.credentials.access_token) {
  await new Promise((resolve) => setTimeout(resolve, 20));
  next = await nexus.token("acme", { user: "ada" });
}
console.log(next.credentials.access_token);
await nexus.token("acme", { user: "zoe" }).catch((error) => {
  console.log(error instanceof ConsentRequired ? error.authUrl : error);
});
nexus.close();
`,
  Python: `
import time
from nexusd import ConsentRequired, Nexus
with Nexus() as nexus:
    first = nexus.token("acme", user="ada")
    print(first.credentials["access_token"], flush=True)
    token = first
    while token.credentials["access_token"] == first.credentials["access_token"]:
        time.sleep(0.02)
        token = nexus.token("acme", user="ada")
    print(token.credentials["access_token"], flush=True)
    try:
        nexus.token("acme", user="zoe")
    except ConsentRequired as error:
        print(error.auth_url, flush=True)
`,
  Go: `
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	nexus "github.com/nexusd/nexusd/clients/go"
)

func main() {
	client, err := nexus.New()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	token := func() string {
		token, err := client.Token(context.Background(), "acme", "ada")
		if err != nil {
			log.Fatal(err)
		}
		return token.AccessToken()
	}
	first := token()
	fmt.Println(first)
	next := first
	for next == first {
		time.Sleep(20 * time.Millisecond)
		next = token()
	}
	fmt.Println(next)
	_, err = client.Token(context.Background(), "acme", "zoe")
	var consent *nexus.ConsentRequired
	if !errors.As(err, &consent) {
		log.Fatal(err)
	}
	fmt.Println(consent.AuthURL)
}
`,
} as const;
type Language = keyof typeof programs;
const languages = Object.keys(programs) as Language[];

/** How a client that is installed runs its program. */
type Command = readonly [program: string, ...args: string[]];

function run(program: string, args: readonly string[], cwd: string): void {
  execFileSync(program, args, { cwd, stdio: ["ignore", "ignore", "inherit"] });
}

/** @param packed a tarball of npm */
function installNpm(packed: string): Command {
  const folder = temporaryFolder();
  const client = join(folder, "node_modules/nexusd-client");
  mkdirSync(client, { recursive: true });
  run("tar", ["-xzf", packed, "--strip-components=1", "-C", client], folder);
  for (const scope of ["@aws-crypto", "@bufbuild", "@connectrpc", "@smithy", "tslib"]) {
    symlinkSync(join(root, "node_modules", scope), join(folder, "node_modules", scope));
  }
  writeFileSync(join(folder, "program.mjs"), programs.npm);
  return [process.execPath, join(folder, "program.mjs")];
}

function packNpm(): string {
  const folder = temporaryFolder();
  const client = join(root, "clients/typescript");
  run(process.execPath, ["build.mjs"], client);
  run("npm", ["pack", "--silent", "--ignore-scripts", "--pack-destination", folder], client);
  const { version } = JSON.parse(readFileSync(join(client, "package.json"), "utf8")) as { version: string };
  return join(folder, `nexusd-client-${version}.tgz`);
}

/** @param packed a wheel, or the folder of its sources */
function installPython(packed: string): Command {
  const folder = temporaryFolder();
  run("python3", ["-m", "venv", folder], folder);
  const pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
  run(join(folder, "bin/python"), [...pip, packed], folder);
  writeFileSync(join(folder, "program.py"), programs.Python);
  return [join(folder, "bin/python"), join(folder, "program.py")];
}

/** @param checkout of the module, which `go get` takes from its tag: the history has every version */
function installGo(checkout: string): Command {
  const folder = temporaryFolder();
  const module = "github.com/nexusd/nexusd/clients/go";
  writeFileSync(join(folder, "main.go"), programs.Go);
  run("go", ["mod", "init", "nexus.example/program"], folder);
  run("go", ["mod", "edit", `-replace=${module}=${join(checkout, "clients/go")}`], folder);
  run("go", ["mod", "tidy"], folder);
  run("go", ["build", "-o", "program", "."], folder);
  return [join(folder, "program")];
}

const ofThisCheckout: Partial<Record<Language, Command>> = {};
beforeAll(() => {
  ofThisCheckout.npm = installNpm(packNpm());
  ofThisCheckout.Python = installPython(join(root, "clients/python"));
  ofThisCheckout.Go = installGo(root);
});

describe.each(FrozenVersion.all())("$name", (version) => {
  const folder = perTest(() => FrozenFolder.of(version));
  const ofVersion: Partial<Record<Language, Command>> = {};
  beforeAll(() => {
    ofVersion.npm = installNpm(version.client(".tgz"));
    ofVersion.Python = installPython(version.client(".whl"));
    ofVersion.Go = installGo(built(version.frozen.commit));
  });

  async function play(daemonProgram: readonly string[], [program, ...args]: Command): Promise<void> {
    const { settings } = folder;
    const daemon = new DaemonProcess(settings, ["serve"], [], daemonProgram);
    onTestFinished(async () => void (await daemon.kill("SIGKILL")));
    await daemon.ready();
    const address = `unix:${join(settings.NEXUS_DATA_DIR, "nexus.sock")}`;
    const client = new DaemonProcess({ ...settings, NEXUS_ADDRESS: address }, args, [], [program]);
    onTestFinished(async () => void (await client.kill("SIGKILL")));
    const [first = ""] = await client.wrote(/^frozen-access-\d+-\d+$/m);
    const connectionId = version.frozen.connections["ada"];
    await folder.call("ConnectionService/RefreshConnection", { connectionId });
    expect(await client.exited).toBe(0);
    const [, next, link, ...rest] = client.output.trimEnd().split("\n");
    expect(next).toMatch(/^frozen-access-\d+-\d+$/);
    expect(next).not.toBe(first);
    expect(link).toMatch(`${settings["NEXUS_PUBLIC_URL"]}/auth/`);
    expect(rest).toEqual([]);
  }

  it.each(languages)("its client for %s at the daemon of this checkout", async (language) => {
    await play(programOf(root), ofVersion[language] as Command);
  });

  it.each(languages)("its daemon, and this checkout's client for %s", async (language) => {
    await play(version.program(), ofThisCheckout[language] as Command);
  });
});
