import { generateKeyPairSync } from "node:crypto";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "playwright-core";
import { TokenEndpointAuthMethod, TokenExchange } from "../../src/gen/nexus/v1/provider_pb.js";
import { cached, missingPrograms } from "./cache.js";
import {
  clientId,
  type ForeignServer,
  lifetimeSeconds,
  type Person,
  password,
  people,
  type RunningServer,
} from "./foreign_server.js";
import { download, ServerProcess } from "./server_process.js";

const artifact = "org.keycloak:keycloak-quarkus-dist:26.7.3:zip";
const realm = "foreign";

/** A name and an address, or Keycloak asks the person to complete the profile. */
const accounts = people.map((username) => ({
  username,
  enabled: true,
  firstName: username,
  lastName: "Foreign",
  email: `${username}@foreign.example`,
  emailVerified: true,
  credentials: [{ type: "password", value: password, temporary: false }],
}));

export const keycloak: ForeignServer = {
  name: "Keycloak",
  reuse: {
    is: "ends the grant",
    because: "with `revokeRefreshToken` a token that was used before ends the client's session",
  },
  deadToken: { is: "reauth_required", because: "it answers `invalid_grant`" },
  wrongSecret: { is: "misconfigured", because: "it answers 401 with `unauthorized_client`" },
  lostAnswer: {
    is: "outcome_unknown",
    because: "`refreshTokenMaxReuse` is 0: the second use of the token counts as reuse",
  },

  missing: () => missingPrograms({ java: "Debian's openjdk-17-jre-headless", mvn: "Debian's maven" }),

  async install() {
    const folder = cached("keycloak");
    const installed = join(folder, "installed.txt");
    if (existsSync(installed) && readFileSync(installed, "utf8") === artifact) return;
    rmSync(folder, { recursive: true, force: true });
    const goal = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:unpack";
    const args = ["-q", "-B", goal, `-Dartifact=${artifact}`, `-DoutputDirectory=${folder}`];
    await download({ path: "mvn", args, folder: cached("") });
    writeFileSync(installed, artifact);
  },

  async start(port, origin) {
    const version = artifact.split(":")[2];
    const folder = join(cached("keycloak"), `keycloak-${version}`);
    const environment = {
      KC_BOOTSTRAP_ADMIN_USERNAME: "admin",
      KC_BOOTSTRAP_ADMIN_PASSWORD: password,
      // Half of the machine's memory otherwise.
      JAVA_OPTS_KC_HEAP: "-Xms64m -Xmx512m",
    };
    const options = [`--http-port=${port}`, "--http-host=127.0.0.1", "--db=dev-mem"];
    const process = await ServerProcess.start(
      { path: "sh", args: ["bin/kc.sh", "start-dev", ...options], folder, environment },
      `http://127.0.0.1:${port}/realms/master`,
    );
    const server = new Keycloak(process, origin, `http://127.0.0.1:${port}`);
    await server.admin("POST", "", {
      realm,
      enabled: true,
      accessTokenLifespan: lifetimeSeconds,
      revokeRefreshToken: true,
      refreshTokenMaxReuse: 0,
      users: accounts,
    });
    return server;
  },
};

class Keycloak implements RunningServer {
  readonly profile;

  constructor(
    private readonly process: ServerProcess,
    private readonly origin: string,
    /** Administration does not go through the proxy. */
    private readonly direct: string,
  ) {
    this.profile = { issuer: `${origin}/realms/${realm}`, enableDiscovery: true, scopes: ["openid"] };
  }

  /** Its administration API, below `/admin/realms`. */
  async admin(method: string, path: string, body?: object): Promise<unknown> {
    const form = { grant_type: "password", client_id: "admin-cli", username: "admin", password };
    const login = await fetch(`${this.direct}/realms/master/protocol/openid-connect/token`, {
      method: "POST",
      body: new URLSearchParams(form),
    });
    const { access_token: token } = (await login.json()) as { access_token: string };
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const answer = await fetch(`${this.direct}/admin/realms${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`Keycloak: ${method} ${path}: ${answer.status} ${text}`);
    return text === "" ? undefined : JSON.parse(text);
  }

  async register(redirectUri: string, clientSecret: string): Promise<void> {
    await this.admin("POST", `/${realm}/clients`, {
      clientId,
      name: "Nexus",
      secret: clientSecret,
      redirectUris: [redirectUri],
      consentRequired: true,
      standardFlowEnabled: true,
      publicClient: false,
    });
  }

  async registerMachines() {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
    const jwk = { ...publicKey.export({ format: "jwk" }), kid: "machine-key", use: "sig", alg: "PS256" };
    const secret = "machine-secret-of-more-than-32-characters";
    const client = async (clientId: string, more: object): Promise<void> => {
      const machine = {
        clientId,
        publicClient: false,
        standardFlowEnabled: false,
        serviceAccountsEnabled: true,
      };
      await this.admin("POST", `/${realm}/clients`, { ...machine, ...more });
    };
    await client("by-basic", { secret });
    await client("by-secret-jwt", { secret, clientAuthenticatorType: "client-secret-jwt" });
    await client("by-key", {
      clientAuthenticatorType: "client-jwt",
      attributes: {
        "use.jwks.string": "true",
        "jwks.string": JSON.stringify({ keys: [jwk] }),
        "token.endpoint.auth.signing.alg": "PS256",
      },
    });
    const pem = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
    const options = { clientKeyId: "machine-key", clientSigningAlg: "PS256" };
    const { CLIENT_SECRET_BASIC, CLIENT_SECRET_JWT, PRIVATE_KEY_JWT } = TokenEndpointAuthMethod;
    return [
      { clientId: "by-basic", clientSecret: secret, tokenEndpointAuthMethod: CLIENT_SECRET_BASIC },
      { clientId: "by-secret-jwt", clientSecret: secret, tokenEndpointAuthMethod: CLIENT_SECRET_JWT },
      {
        clientId: "by-key",
        clientSecret: pem,
        tokenEndpointAuthMethod: PRIVATE_KEY_JWT,
        oauth2Options: options,
      },
    ];
  }

  async registerExchanger() {
    const audiences = { "billing-read": "billing", "stock-read": "stock" };
    const secret = "exchanger-secret-of-more-than-32-characters";
    for (const [scope, audience] of Object.entries(audiences)) {
      await this.admin("POST", `/${realm}/clients`, { clientId: audience, publicClient: false });
      const mapper = {
        name: audience,
        protocol: "openid-connect",
        protocolMapper: "oidc-audience-mapper",
        config: { "included.client.audience": audience, "access.token.claim": "true" },
      };
      const attributes = { "include.in.token.scope": "true" };
      const body = { name: scope, protocol: "openid-connect", attributes, protocolMappers: [mapper] };
      await this.admin("POST", `/${realm}/client-scopes`, body);
    }
    const clientId = "exchanger";
    await this.admin("POST", `/${realm}/clients`, {
      ...{ clientId, secret, publicClient: false, standardFlowEnabled: false, serviceAccountsEnabled: true },
      optionalClientScopes: Object.keys(audiences),
      attributes: { "standard.token.exchange.enabled": "true" },
    });
    const { CLIENT_SECRET_BASIC } = TokenEndpointAuthMethod;
    const oauth2Options = { tokenExchange: TokenExchange.RFC8693 };
    const client = { clientId, clientSecret: secret, tokenEndpointAuthMethod: CLIENT_SECRET_BASIC };
    return { profile: { ...client, scopes: Object.keys(audiences), oauth2Options }, audiences };
  }

  async makeBound() {
    const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const jwk = { ...publicKey.export({ format: "jwk" }), kid: "bound-key", use: "sig", alg: "ES256" };
    const profile = {
      clientId: "bound",
      clientSecret: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
      tokenEndpointAuthMethod: TokenEndpointAuthMethod.PRIVATE_KEY_JWT,
      oauth2Options: {
        clientKeyId: "bound-key",
        clientSigningAlg: "ES256",
        pushAuthorizationRequests: true,
        signAuthorizationRequests: true,
        responseMode: "jwt",
      },
    };
    const register = async (redirectUri: string): Promise<void> => {
      await this.admin("POST", `/${realm}/clients`, {
        ...{ clientId: "bound", redirectUris: [redirectUri], consentRequired: true, publicClient: false },
        clientAuthenticatorType: "client-jwt",
        attributes: {
          "use.jwks.string": "true",
          "jwks.string": JSON.stringify({ keys: [jwk] }),
          "token.endpoint.auth.signing.alg": "ES256",
          "dpop.bound.access.tokens": "true",
          "require.pushed.authorization.requests": "true",
          // A request that was pushed comes to it by request_uri.
          "request.object.required": "request or request_uri",
          "request.object.signature.alg": "ES256",
          "authorization.signed.response.alg": "PS256",
        },
      });
    };
    return { profile, register };
  }

  async registerDevice() {
    const clientId = "device";
    await this.admin("POST", `/${realm}/clients`, {
      ...{ clientId, publicClient: true, standardFlowEnabled: false, consentRequired: true },
      attributes: {
        "oauth2.device.authorization.grant.enabled": "true",
        "dpop.bound.access.tokens": "true",
      },
    });
    return { clientId, tokenEndpointAuthMethod: TokenEndpointAuthMethod.NONE };
  }

  async enterCode(page: Page, person: Person): Promise<void> {
    await page.fill("#username", person);
    await page.fill("#password", password);
    await page.click("#kc-login");
    await page.locator("#kc-login[name=accept]").click();
    await page.getByText("Device Login Successful").waitFor();
  }

  async isProved(
    accessToken: string,
    prove: (method: string, url: string) => Promise<string>,
  ): Promise<boolean> {
    const url = `${this.origin}/realms/${realm}/protocol/openid-connect/userinfo`;
    const headers = { authorization: `DPoP ${accessToken}`, dpop: await prove("GET", url) };
    return (await fetch(url, { headers })).ok;
  }

  async changeSecret(clientSecret: string): Promise<void> {
    const [client] = (await this.admin("GET", `/${realm}/clients?clientId=${clientId}`)) as { id: string }[];
    await this.admin("PUT", `/${realm}/clients/${client?.id}`, { ...client, secret: clientSecret });
  }

  async consent(page: Page, person: Person): Promise<void> {
    await page.fill("#username", person);
    await page.fill("#password", password);
    await page.click("#kc-login");
    const yes = page.locator("#kc-login[name=accept]");
    const done = page.getByRole("heading", { name: "Connected" });
    await yes.or(done).waitFor();
    // What was granted once is not asked again.
    if (await yes.isVisible()) await yes.click();
  }

  async endGrant(person: Person): Promise<void> {
    const [user] = (await this.admin("GET", `/${realm}/users?username=${person}&exact=true`)) as {
      id: string;
    }[];
    await this.admin("DELETE", `/${realm}/users/${user?.id}/consents/${clientId}`);
  }

  async isAlive(accessToken: string): Promise<boolean> {
    const headers = { authorization: `Bearer ${accessToken}` };
    const url = `${this.origin}/realms/${realm}/protocol/openid-connect/userinfo`;
    return (await fetch(url, { headers })).ok;
  }

  async stop(): Promise<void> {
    await this.process.stop();
  }
}
