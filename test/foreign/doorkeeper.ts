import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { missingPrograms } from "./cache.js";
import {
  clientId,
  type ForeignServer,
  type Person,
  password,
  people,
  type RunningServer,
} from "./foreign_server.js";
import { run, ServerProcess } from "./server_process.js";

const source = join(import.meta.dirname, "doorkeeper");

export const doorkeeper: ForeignServer = {
  name: "Doorkeeper",
  reuse: {
    is: "is refused",
    because: "Doorkeeper has no reuse detection: what was revoked is refused, and what came of it lives on",
  },
  deadToken: { is: "reauth_required", because: "it answers `invalid_grant`" },
  wrongSecret: { is: "misconfigured", because: "it answers 401 with `invalid_client`" },
  lostAnswer: {
    is: "active",
    because:
      "with `previous_refresh_token` a refresh token is good until the access token that it gave is used",
  },

  missing: () => [
    ...missingPrograms({ ruby: "Debian's ruby", puma: "Debian's puma" }),
    ...["doorkeeper", "rails", "sqlite3"]
      .filter((name) => spawnSync("ruby", ["-e", "gem ARGV[0]", name]).status !== 0)
      .map((name) => `the gem ${name} (Debian's ruby-${name})`),
  ],

  install: async () => undefined,

  async start(port, origin) {
    const app = new Application(mkdtempSync(join(tmpdir(), "nexus-doorkeeper-")), origin);
    await app.manage("migrate");
    await app.serve(port);
    return app;
  },
};

class Application implements RunningServer {
  readonly profile;
  readonly #environment: NodeJS.ProcessEnv;
  #server: ServerProcess | undefined;

  constructor(
    private readonly folder: string,
    private readonly origin: string,
  ) {
    this.#environment = { APP_FOLDER: folder, APP_PEOPLE: people.join(","), APP_PASSWORD: password };
    this.profile = {
      authUrl: `${origin}/oauth/authorize`,
      tokenUrl: `${origin}/oauth/token`,
      scopes: ["read"],
      oauth2Options: { revocationUrl: `${origin}/oauth/revoke` },
    };
  }

  async manage(...args: string[]): Promise<void> {
    const environment = this.#environment;
    await run({
      path: "ruby",
      args: [join(source, "provider_app.rb"), ...args],
      folder: source,
      environment,
    });
  }

  async serve(port: number): Promise<void> {
    const environment = this.#environment;
    const args = ["--bind", `tcp://127.0.0.1:${port}`, join(source, "config.ru")];
    this.#server = await ServerProcess.start(
      { path: "puma", args, folder: this.folder, environment },
      `http://127.0.0.1:${port}/`,
    );
  }

  async register(redirectUri: string, clientSecret: string): Promise<void> {
    await this.manage("client", clientId, clientSecret, redirectUri);
  }

  async changeSecret(clientSecret: string): Promise<void> {
    await this.manage("secret", clientId, clientSecret);
  }

  async consent(page: Page, person: Person): Promise<void> {
    await page.fill("#name", person);
    await page.fill("#password", password);
    await page.click("#login");
    const allow = page.getByRole("button", { name: "Authorize" });
    const done = page.getByRole("heading", { name: "Connected" });
    await allow.or(done).waitFor();
    // What was granted once is not asked again while a token of it lives.
    if (await allow.isVisible()) await allow.click();
  }

  async endGrant(person: Person): Promise<void> {
    await this.manage("end_grant", clientId, person);
  }

  async isAlive(accessToken: string): Promise<boolean> {
    const headers = { authorization: `Bearer ${accessToken}` };
    return (await fetch(`${this.origin}/me`, { headers })).ok;
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
