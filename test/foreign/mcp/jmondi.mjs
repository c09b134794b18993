/**
 * An MCP server whose tokens come from @jmondi/oauth2-server, which consents by itself. `POST /end` ends all grants.
 *
 *   jmondi.mjs PORT ORIGIN
 */
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { AuthorizationServer, DateInterval, OAuthException, OAuthRequest } from "@jmondi/oauth2-server";

const [port, origin] = [Number(process.argv[2]), process.argv[3]];
const [clients, codes, tokens] = [new Map(), new Map(), new Map()];
const user = { id: "ada" };
const inSeconds = (seconds) => new Date(Date.now() + seconds * 1_000);

const server = new AuthorizationServer(
  {
    getByIdentifier: async (id) => clients.get(id),
    isClientValid: async (_grant, client, secret) => client.secret === secret,
  },
  {
    issueToken: async (client, scopes, of) => ({
      ...{ accessToken: randomUUID(), accessTokenExpiresAt: inSeconds(60) },
      ...{ client, scopes, user: of ?? user, refreshToken: null, refreshTokenExpiresAt: null },
    }),
    issueRefreshToken: async (token) =>
      Object.assign(token, { refreshToken: randomUUID(), refreshTokenExpiresAt: inSeconds(3_600) }),
    persist: async (token) => void tokens.set(token.accessToken, token),
    revoke: async (token) => void Object.assign(token, { isRevoked: true }),
    isRefreshTokenRevoked: async ({ isRevoked }) => isRevoked === true,
    getByRefreshToken: async (id) => [...tokens.values()].find((token) => token.refreshToken === id),
  },
  {
    getAllByIdentifiers: async (names) => names.map((name) => ({ name })),
    finalize: async (scopes) => scopes,
  },
  "what signs the tokens of this server",
  { requiresPKCE: true, requiresS256: true },
);
server.enableGrantType(
  {
    grant: "authorization_code",
    userRepository: { getUserByCredentials: async () => user },
    authCodeRepository: {
      getByIdentifier: async (code) => codes.get(code),
      issueAuthCode: (client, of, scopes) => ({
        ...{ code: randomUUID(), expiresAt: inSeconds(60), client, user: of, scopes },
      }),
      persist: async (code) => void codes.set(code.code, code),
      isRevoked: async (code) => codes.get(code)?.isRevoked === true,
      revoke: async (code) => void Object.assign(codes.get(code), { isRevoked: true }),
    },
  },
  new DateInterval("1m"),
);
server.enableGrantType("refresh_token", new DateInterval("1m"));

const metadata = {
  issuer: origin,
  authorization_endpoint: `${origin}/authorize`,
  token_endpoint: `${origin}/token`,
  registration_endpoint: `${origin}/register`,
  response_types_supported: ["code"],
  grant_types_supported: ["authorization_code", "refresh_token"],
  token_endpoint_auth_methods_supported: ["client_secret_post"],
  code_challenge_methods_supported: ["S256"],
};

function register({ redirect_uris, grant_types }) {
  const [id, secret] = [randomUUID(), randomUUID()];
  clients.set(id, {
    id,
    secret,
    name: id,
    redirectUris: redirect_uris,
    allowedGrants: grant_types,
    scopes: [],
  });
  const method = { token_endpoint_auth_method: "client_secret_post", redirect_uris, grant_types };
  return { status: 201, body: { client_id: id, client_secret: secret, ...method } };
}

async function authorize(query) {
  const asked = await server.validateAuthorizationRequest(new OAuthRequest({ query }));
  Object.assign(asked, { user, isAuthorizationApproved: true });
  return await server.completeAuthorizationRequest(asked);
}

function callTool({ authorization = "" }) {
  const [, payload = ""] = authorization.split(".");
  const { jti } = JSON.parse(Buffer.from(payload, "base64url").toString() || "{}");
  const isGood = tokens.has(jti) && tokens.get(jti).isRevoked !== true;
  if (isGood) return { status: 200, body: { jsonrpc: "2.0", id: 1, result: { tools: [] } } };
  const place = `${origin}/.well-known/oauth-protected-resource/mcp`;
  return { status: 401, headers: { "www-authenticate": `Bearer resource_metadata="${place}"` }, body: {} };
}

async function respond(path, query, text, headers) {
  const form = Object.fromEntries(new URLSearchParams(text));
  switch (path) {
    case "/.well-known/oauth-protected-resource/mcp":
      return { status: 200, body: { resource: `${origin}/mcp`, authorization_servers: [origin] } };
    case "/.well-known/oauth-authorization-server":
      return { status: 200, body: metadata };
    case "/register":
      return register(JSON.parse(text));
    case "/authorize":
      return await authorize(query);
    case "/token":
      return await server.respondToAccessTokenRequest(new OAuthRequest({ headers, body: form }));
    case "/mcp":
      return callTool(headers);
    case "/end":
      for (const token of tokens.values()) token.isRevoked = true;
      return { status: 204 };
    default:
      return { status: 404, body: {} };
  }
}

createServer(async (incoming, outgoing) => {
  let text = "";
  for await (const chunk of incoming) text += chunk;
  const { pathname, searchParams } = new URL(incoming.url, origin);
  const answer = await respond(pathname, Object.fromEntries(searchParams), text, incoming.headers).catch(
    (error) => {
      if (!(error instanceof OAuthException)) throw error;
      const body = { error: error.errorType, error_description: error.errorDescription };
      return { status: error.status, body };
    },
  );
  outgoing.writeHead(answer.status, { "content-type": "application/json", ...answer.headers });
  outgoing.end(answer.body === undefined ? "" : JSON.stringify(answer.body));
}).listen(port, "127.0.0.1");
