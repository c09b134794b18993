/**
 * The command that `@modelcontextprotocol/conformance` runs for each scenario, with the URL of the scenario's MCP server as its last
 * argument. It plays the MCP client and the person with the browser; every step of OAuth is the daemon's, asked for over its HTTP
 * listener. Exit code 0 when the tools were listed and called.
 */
import { writeFileSync } from "node:fs";
import { env, exit, stderr, stdout } from "node:process";
import { Refused, request } from "./mcp_client.mjs";
import { Person } from "./person.mjs";

const scenario = env.MCP_CONFORMANCE_SCENARIO ?? "";
const version = env.MCP_CONFORMANCE_PROTOCOL_VERSION ?? "2026-07-28";
const context = JSON.parse(env.MCP_CONFORMANCE_CONTEXT ?? "{}");
const daemons = JSON.parse(env.NEXUS_CONFORMANCE_DAEMONS ?? "{}");
const mcpServerUrl = process.argv.at(-1) ?? "";
const userId = "ada";

/** Where servers can fetch a document of the daemon, they know it by that. */
const daemon = daemons[scenario === "auth/basic-cimd" ? "https" : "loopback"];
const person = new Person(daemon.publicUrl, daemon.browserPort);

class CallFailed extends Error {
  constructor(method, { code, message, details }) {
    super(`${method}: ${code}: ${message}`);
    this.reasons = (details ?? []).map(({ debug }) => debug?.reason).filter(Boolean);
  }
}

/** A call of the daemon, in JSON (Connect). */
async function call(method, body) {
  const response = await fetch(`${daemon.httpUrl}/nexus.v1.${method}`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${daemon.apiKey}` },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new CallFailed(method, answer);
  return answer;
}

/** The token, after a person consented where that is needed: to one link, and no more. */
async function acquire() {
  const asked = { mcpServerUrl, userId };
  const first = await call("TokenService/AcquireToken", asked);
  if (first.token) return first.token;
  stderr.write(`consent needed: ${first.consent.reason}\n`);
  const page = await person.open(first.consent.authUrl);
  const second = await call("TokenService/AcquireToken", asked);
  if (second.token) return second.token;
  throw new Error(`no token after the consent: ${second.consent.reason}; the page says: ${page}`);
}

/** The daemon judges a refused token: it refreshes, the next `acquire` asks the person, or the report itself does, for the scopes that are missing. */
async function report(token, { status, wwwAuthenticate }) {
  const { connectionId } = await current();
  try {
    const { outcome, consent } = await call("TokenService/ReportRejectedToken", {
      ...{ connectionId, revision: token.revision, status, wwwAuthenticate },
    });
    stderr.write(`reported ${status}: ${outcome}\n`);
    if (consent) await person.open(consent.authUrl);
  } catch (error) {
    if (!(error instanceof CallFailed)) throw error;
    stderr.write(`reported ${status}: ${error.message}\n`);
  }
}

async function current() {
  const { connections } = await call("ConnectionService/ListConnections", { userId });
  const { providers } = await call("ProviderService/ListProviders", {});
  const provider = providers.find((each) => each.mcpServerUrl === mcpServerUrl);
  const connection = connections.find(({ providerId }) => providerId === provider?.id);
  if (!connection) throw new Error("there is no connection");
  return { connectionId: connection.id };
}

/** What an operator registers, of what the scenario gives its client; undefined where that is nothing. */
const registrations = {
  "auth/pre-registration": ({ client_id, client_secret, issuer }) => ({
    ...{ clientId: client_id, clientSecret: client_secret, issuer },
  }),
  "auth/client-credentials-basic": ({ client_id, client_secret }) => ({
    ...{ clientId: client_id, clientSecret: client_secret, grantType: "GRANT_TYPE_CLIENT_CREDENTIALS" },
  }),
  "auth/client-credentials-jwt": ({ client_id, private_key_pem, signing_algorithm }) => ({
    clientId: client_id,
    clientSecret: private_key_pem,
    tokenEndpointAuthMethod: "TOKEN_ENDPOINT_AUTH_METHOD_PRIVATE_KEY_JWT",
    grantType: "GRANT_TYPE_CLIENT_CREDENTIALS",
    oauth2Options: { clientSigningAlg: signing_algorithm },
  }),
  "auth/wif-jwt-bearer": ({ client_id, valid_jwt }) => {
    // The platform has put its JWT where the daemon reads it.
    writeFileSync(daemon.workloadFile, valid_jwt);
    return {
      ...{ clientId: client_id, tokenEndpointAuthMethod: "TOKEN_ENDPOINT_AUTH_METHOD_NONE" },
      ...{ grantType: "GRANT_TYPE_JWT_BEARER", clientAssertionSource: "workload" },
    };
  },
  "auth/enterprise-managed-authorization": ({ client_id, client_secret }) => ({
    ...{ clientId: client_id, clientSecret: client_secret, grantType: "GRANT_TYPE_IDENTITY_ASSERTION" },
    identityProvider: "company",
  }),
};

/** The person has signed in at the company's identity provider, at an application that hands the id_token to the daemon. */
async function signIn({ idp_client_id, idp_issuer, idp_id_token }) {
  const provider = {
    name: "company",
    authType: "AUTH_TYPE_OAUTH2",
    clientId: idp_client_id,
    tokenEndpointAuthMethod: "TOKEN_ENDPOINT_AUTH_METHOD_NONE",
    issuer: idp_issuer,
    enableDiscovery: true,
    scopes: ["openid"],
  };
  const created = await call("ProviderService/CreateProvider", { provider });
  const providerId = created.provider.id;
  await call("ConnectionService/ImportConnection", { userId, providerId, idToken: idp_id_token });
}

async function prepare() {
  if (context.idp_id_token) await signIn(context);
  const provider = registrations[scenario]?.(context);
  if (provider) await call("ProviderService/CreateProvider", { mcpServerUrl, provider });
}

/** One request of the MCP client: a refused token is reported, and the request sent again with what comes of that. */
async function authorized(method, params) {
  let token = held;
  for (let attempt = 1; ; attempt++) {
    try {
      return await request(mcpServerUrl, version, method, params, token?.credentials.access_token);
    } catch (error) {
      if (!(error instanceof Refused) || attempt > 5) throw error;
      if (token) await report(token, error);
      const next = await acquire();
      // The daemon gives up: it has nothing else for this server.
      if (token && next.revision === token.revision) throw error;
      held = token = next;
    }
  }
}

let held;

async function main() {
  if (!scenario.startsWith("auth/")) {
    stderr.write(`${scenario} judges an MCP client; nexusd is none\n`);
    return 3;
  }
  await prepare();
  if (version < "2026-07-28") {
    const clientInfo = { name: "nexusd-conformance", version: "1" };
    await authorized("initialize", { protocolVersion: version, capabilities: {}, clientInfo });
    await authorized("notifications/initialized");
  }
  await authorized("tools/list", {});
  await authorized("tools/call", { name: "test-tool", arguments: {} });
  return 0;
}

try {
  const code = await main();
  if (code === 0) stdout.write("the tools were listed and called\n");
  exit(code);
} catch (error) {
  stderr.write(`${error.message}\n`);
  exit(1);
}
