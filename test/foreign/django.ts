import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { cached, missingPrograms } from "./cache.js";
import {
  clientId,
  type ForeignServer,
  type Person,
  password,
  people,
  type RunningServer,
} from "./foreign_server.js";
import { download, run, ServerProcess } from "./server_process.js";

const source = join(import.meta.dirname, "django");
const python = () => join(cached("django"), "bin/python");

export const django: ForeignServer = {
  name: "django-oauth-toolkit",
  reuse: {
    is: "ends the grant",
    because: "REFRESH_TOKEN_REUSE_PROTECTION revokes the family of a token that was rotated",
  },
  deadToken: { is: "reauth_required", because: "it answers `invalid_grant`" },
  wrongSecret: { is: "misconfigured", because: "it answers 401 with `invalid_client`" },
  lostAnswer: {
    is: "outcome_unknown",
    because: "REFRESH_TOKEN_GRACE_PERIOD_SECONDS is 0: the second use of the token counts as reuse",
  },

  missing: () => missingPrograms({ python3: "Debian's python3, with python3-venv" }),

  async install() {
    const folder = cached("django");
    const requirements = join(source, "requirements.txt");
    const installed = join(folder, "installed.txt");
    const wanted = readFileSync(requirements, "utf8");
    if (existsSync(installed) && readFileSync(installed, "utf8") === wanted) return;
    await run({ path: "python3", args: ["-m", "venv", folder], folder: source });
    const args = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", requirements];
    await download({ path: python(), args, folder: source });
    writeFileSync(installed, wanted);
  },

  async start(port, origin) {
    const folder = mkdtempSync(join(tmpdir(), "nexus-django-"));
    const site = new Site(folder, origin);
    await site.manage("migrate", "--verbosity", "0");
    await site.manage("people", password, ...people);
    await site.serve(port);
    return site;
  },
};

class Site implements RunningServer {
  readonly profile;
  #server: ServerProcess | undefined;

  constructor(
    private readonly folder: string,
    private readonly origin: string,
  ) {
    this.profile = {
      issuer: `${origin}/o`,
      enableDiscovery: true,
      scopes: ["openid", "read"],
      // Its discovery document does not name it.
      oauth2Options: { revocationUrl: `${origin}/o/revoke_token/` },
    };
  }

  #command(...args: string[]) {
    const environment = { SITE_FOLDER: this.folder, PYTHONDONTWRITEBYTECODE: "1" };
    return {
      path: python(),
      args: [join(source, "provider_site.py"), ...args],
      folder: this.folder,
      environment,
    };
  }

  async manage(...args: string[]): Promise<void> {
    await run(this.#command(...args));
  }

  async serve(port: number): Promise<void> {
    this.#server = await ServerProcess.start(
      this.#command("runserver", "--noreload", String(port)),
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
    await page.fill("#id_username", person);
    await page.fill("#id_password", password);
    await page.click("input[type=submit]");
    await page.click("input[name=allow]");
  }

  async endGrant(person: Person): Promise<void> {
    await this.manage("end_grant", person);
  }

  async isAlive(accessToken: string): Promise<boolean> {
    const headers = { authorization: `Bearer ${accessToken}` };
    return (await fetch(`${this.origin}/o/userinfo/`, { headers })).ok;
  }

  async stop(): Promise<void> {
    await this.#server?.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
