/**
 * An MCP server whose authorization server is better-auth with its OAuth provider, all in memory. Its pages sign ada in and consent by themselves.
 *
 *   better_auth.mjs PORT ORIGIN
 */
import { createServer } from "node:http";
import { oauthProvider } from "@better-auth/oauth-provider";
import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { getAuthTables } from "better-auth/db";
import { jwt } from "better-auth/plugins";

const [port, origin] = [Number(process.argv[2]), process.argv[3]];
const [resource, base] = [`${origin}/mcp`, `${origin}/api/auth`];
const ada = { email: "ada@example.test", password: "correct-horse-9" };
const tables = {};
const options = {
  baseURL: origin,
  secret: "of-a-server-that-lives-for-minutes-0123456789",
  database: memoryAdapter(tables),
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  plugins: [
    jwt(),
    oauthProvider({
      loginPage: "/sign-in",
      consentPage: "/consent",
      scopes: ["read", "offline_access"],
      resources: [resource],
      clientRegistrationDefaultResources: [resource],
      allowDynamicClientRegistration: true,
      allowUnauthenticatedClientRegistration: true,
      accessTokenExpiresIn: 60,
      silenceWarnings: { oauthAuthServerConfig: true, openidConfig: true },
    }),
  ],
};
for (const { modelName } of Object.values(getAuthTables(options))) tables[modelName] = [];
const auth = betterAuth(options);
await auth.api.signUpEmail({ body: { ...ada, name: "Ada" } });

/** What the page's script would send, and where it would lead the browser. */
async function act(path, query, cookie, more) {
  const headers = { "content-type": "application/json", origin, cookie };
  const body = JSON.stringify({ ...more, oauth_query: query });
  const answer = await auth.handler(new Request(base + path, { method: "POST", headers, body }));
  const { url } = await answer.clone().json();
  if (!url) return answer;
  const cookies = answer.headers.getSetCookie().map((line) => ["set-cookie", line]);
  return new Response(null, { status: 302, headers: [["location", url], ...cookies] });
}

async function mcp(request) {
  const token = request.headers.get("authorization")?.slice("Bearer ".length);
  const keys = await auth.api.getJwks();
  const { createLocalJWKSet, jwtVerify } = await import("jose");
  try {
    await jwtVerify(token ?? "", createLocalJWKSet(keys), { audience: resource });
    return Response.json({ jsonrpc: "2.0", id: 1, result: { tools: [] } });
  } catch {
    const metadata = `${origin}/.well-known/oauth-protected-resource/mcp`;
    const challenge = `Bearer resource_metadata="${metadata}", scope="read"`;
    return Response.json(
      { error: "invalid_token" },
      { status: 401, headers: { "www-authenticate": challenge } },
    );
  }
}

async function answer(request) {
  const { pathname, search } = new URL(request.url);
  const cookie = request.headers.get("cookie") ?? "";
  if (pathname === "/") return new Response("up");
  if (pathname === "/mcp") return await mcp(request);
  if (pathname === "/.well-known/oauth-protected-resource/mcp") {
    return Response.json({ resource, authorization_servers: [base], scopes_supported: ["read"] });
  }
  if (pathname === "/sign-in") return await act("/sign-in/email", search.slice(1), cookie, ada);
  if (pathname === "/consent") return await act("/oauth2/consent", search.slice(1), cookie, { accept: true });
  return await auth.handler(request);
}

createServer(async (incoming, outgoing) => {
  const chunks = [];
  for await (const chunk of incoming) chunks.push(chunk);
  const { method, url } = incoming;
  // The suite's browser is a fetch, which says so: it would be given JSON instead of redirects.
  const { "sec-fetch-mode": _, ...headers } = incoming.headers;
  const body = method === "GET" || method === "HEAD" ? null : Buffer.concat(chunks);
  const response = await answer(new Request(new URL(url, origin), { method, headers, body }));
  outgoing.writeHead(response.status, [...response.headers].flat());
  outgoing.end(Buffer.from(await response.arrayBuffer()));
}).listen(port, "127.0.0.1");
