import { generateKeyPairSync } from "node:crypto";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { TokenEndpointAuthMethod } from "../../src/gen/nexus/v1/provider_pb.js";
import { missingPrograms } from "./cache.js";
import {
  clientId,
  type ForeignServer,
  lifetimeSeconds,
  type Person,
  password,
  people,
  type RunningServer,
} from "./foreign_server.js";
import { run, ServerProcess } from "./server_process.js";

const share = "/usr/share/glewlwyd";
const tables = "/usr/share/dbconfig-common/data/glewlwyd/install/sqlite3";
/** As the package sets it. */
const adminPassword = "password";

export const glewlwyd: ForeignServer = {
  name: "glewlwyd",
  reuse: {
    is: "ends the grant",
    because: "with `refresh-token-one-use` a second use disables the last token of the chain",
  },
  deadToken: { is: "refresh_refused", because: "it answers 400 without a body" },
  wrongSecret: {
    is: "the grant ends",
    because:
      "glewlwyd 2.7 disables a refresh token that comes with a wrong secret, and answers 400 without a body",
  },
  lostAnswer: { is: "outcome_unknown", because: "the second use of the token counts as reuse" },

  missing: () =>
    missingPrograms({ glewlwyd: "Debian's glewlwyd, with dbconfig-sqlite3", sqlite3: "Debian's sqlite3" }),

  install: async () => undefined,

  async start(port, origin) {
    const folder = mkdtempSync(join(tmpdir(), "nexus-glewlwyd-"));
    const database = join(folder, "glewlwyd.db");
    await run({ path: "sqlite3", args: [database, `.read ${tables}`], folder });
    // Debian's config.json is a link to a folder that holds the file.
    const pages = join(folder, "webapp");
    cpSync(`${share}/webapp`, pages, {
      recursive: true,
      dereference: true,
      filter: (file) => !file.endsWith("/config.json"),
    });
    cpSync(`${share}/templates/config.json`, join(pages, "config.json"));
    const file = join(folder, "glewlwyd.conf");
    writeFileSync(file, configuration({ port, origin, database, pages }));
    const direct = `http://127.0.0.1:${port}`;
    const command = { path: "glewlwyd", args: ["--config-file", file], folder };
    const process = await ServerProcess.start(command, `${direct}/config`);
    const server = new Glewlwyd(process, folder, origin, direct);
    await server.admin("POST", "/mod/plugin/", plugin(`${origin}/api/oidc`));
    // `openid` alone is granted without a question.
    await server.admin("POST", "/scope/", {
      name: "read",
      display_name: "Read",
      password_required: false,
      scheme: {},
      scheme_required: {},
    });
    // `g_profile` lets a person end what they granted.
    for (const username of people) {
      await server.admin("POST", "/user/", {
        username,
        password,
        scope: ["openid", "read", "g_profile"],
        enabled: true,
      });
    }
    return server;
  },
};

function configuration(of: { port: number; origin: string; database: string; pages: string }): string {
  const modules = "/usr/lib/glewlwyd";
  return `
port=${of.port}
bind_address="127.0.0.1"
external_url="${of.origin}"
login_url="login.html"
api_prefix="api"
static_files_path="${of.pages}/"
static_files_mime_types = (
  { extension = ".html", mime_type = "text/html" },
  { extension = ".css", mime_type = "text/css" },
  { extension = ".js", mime_type = "application/javascript" },
  { extension = ".json", mime_type = "application/json" }
)
log_mode="console"
log_level="INFO"
session_key="GLEWLWYD2_SESSION_ID"
session_expiration=2419200
admin_scope="g_admin"
profile_scope="g_profile"
user_module_path="${modules}/user"
client_module_path="${modules}/client"
user_auth_scheme_module_path="${modules}/scheme"
plugin_module_path="${modules}/plugin"
hash_algorithm="SHA512"
database = { type = "sqlite3", path = "${of.database}" };
`;
}

/** Its OpenID Connect plugin, as its administration page makes one. */
function plugin(issuer: string): object {
  const { privateKey, publicKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  return {
    module: "oidc",
    name: "oidc",
    display_name: "OpenID Connect",
    enabled: true,
    parameters: {
      iss: issuer,
      "jwt-type": "rsa",
      "jwt-key-size": "256",
      key: privateKey,
      cert: publicKey,
      "jwks-show": true,
      "access-token-duration": lifetimeSeconds,
      "refresh-token-duration": 1_209_600,
      "code-duration": 600,
      "refresh-token-rolling": true,
      "refresh-token-one-use": "always",
      "allow-non-oidc": false,
      "auth-type-code-enabled": true,
      "auth-type-refresh-enabled": true,
      "auth-type-client-enabled": true,
      "auth-type-token-enabled": false,
      "auth-type-id-token-enabled": false,
      "auth-type-implicit-enabled": false,
      "auth-type-none-enabled": false,
      "auth-type-password-enabled": false,
      "auth-type-device-enabled": false,
      "pkce-allowed": true,
      "introspection-revocation-allowed": true,
      "introspection-revocation-allow-target-client": true,
    },
  };
}

class Glewlwyd implements RunningServer {
  readonly profile;
  #client: object = {};

  constructor(
    private readonly process: ServerProcess,
    private readonly folder: string,
    private readonly origin: string,
    private readonly direct: string,
  ) {
    this.profile = {
      issuer: `${origin}/api/oidc`,
      enableDiscovery: true,
      scopes: ["openid", "read"],
      tokenEndpointAuthMethod: TokenEndpointAuthMethod.CLIENT_SECRET_BASIC,
    };
  }

  /** Its API, below `/api`, as that user. */
  async #api(user: { username: string; password: string }, method: string, path: string, body?: object) {
    const json = { "content-type": "application/json" };
    const login = await fetch(`${this.direct}/api/auth/`, {
      method: "POST",
      headers: json,
      body: JSON.stringify(user),
    });
    const cookie = login.headers.getSetCookie().map((line) => line.split(";")[0]);
    const answer = await fetch(`${this.direct}/api${path}`, {
      method,
      headers: { ...json, cookie: cookie.join("; ") },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`glewlwyd: ${method} ${path}: ${answer.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  async admin(method: string, path: string, body?: object): Promise<void> {
    await this.#api({ username: "admin", password: adminPassword }, method, path, body);
  }

  async register(redirectUri: string, clientSecret: string): Promise<void> {
    this.#client = {
      client_id: clientId,
      name: "Nexus",
      enabled: true,
      confidential: true,
      redirect_uri: [redirectUri],
      // The last is what lets it revoke.
      authorization_type: ["code", "refresh_token", "client_credentials"],
      token_endpoint_auth_method: ["client_secret_basic"],
      scope: ["openid", "read"],
    };
    await this.admin("POST", "/client/", { ...this.#client, client_secret: clientSecret });
  }

  async changeSecret(clientSecret: string): Promise<void> {
    await this.admin("PUT", `/client/${clientId}`, { ...this.#client, client_secret: clientSecret });
  }

  async consent(page: Page, person: Person): Promise<void> {
    await page.fill("#username", person);
    await page.fill("#password", password);
    await page.click("#loginbut");
    const allow = page.getByRole("button", { name: "Grant access" });
    const done = page.getByText("What do you wish for?");
    await allow.or(done).waitFor();
    // What was granted once is not asked again.
    if (await allow.isVisible()) {
      await page.check("#grant-read");
      await allow.click();
      await done.waitFor();
    }
    await page.getByRole("button", { name: "Continue" }).click();
  }

  async endGrant(person: Person): Promise<void> {
    const user = { username: person, password };
    const tokens: { token_hash: string; enabled: boolean }[] = await this.#api(user, "GET", "/oidc/token");
    for (const { token_hash: hash, enabled } of tokens) {
      if (enabled) await this.#api(user, "DELETE", `/oidc/token/${encodeURIComponent(hash)}`);
    }
  }

  async isAlive(accessToken: string): Promise<boolean> {
    const headers = { authorization: `Bearer ${accessToken}` };
    return (await fetch(`${this.origin}/api/oidc/userinfo`, { headers })).ok;
  }

  async stop(): Promise<void> {
    await this.process.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }
}
