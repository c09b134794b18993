/**
 * An MCP server by Cloudflare's workers-oauth-provider, outside of workerd: its KV is a Map, and it consents by itself.
 *
 *   worker.mjs PORT ORIGIN
 */
import { createServer } from "node:http";
import { register } from "node:module";
import { Readable } from "node:stream";

const entrypoint = "export class WorkerEntrypoint {}";
const hooks = `export const resolve = (name, context, next) => name === "cloudflare:workers"
  ? { url: "data:text/javascript,${encodeURIComponent(entrypoint)}", shortCircuit: true }
  : next(name, context);`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
const { OAuthProvider } = await import("@cloudflare/workers-oauth-provider");

const [port, origin] = [Number(process.argv[2]), process.argv[3]];
const stored = new Map();
const env = {
  OAUTH_KV: {
    get: async (key, options) => {
      const { value } = stored.get(key) ?? {};
      const isJson = options === "json" || options?.type === "json";
      return value === undefined ? null : isJson ? JSON.parse(value) : value;
    },
    put: async (key, value, { metadata } = {}) => void stored.set(key, { value, metadata }),
    delete: async (key) => void stored.delete(key),
    list: async ({ prefix = "" } = {}) => {
      const names = [...stored.keys()].filter((name) => name.startsWith(prefix));
      return {
        keys: names.map((name) => ({ name, metadata: stored.get(name).metadata })),
        list_complete: true,
      };
    },
  },
};
const provider = new OAuthProvider({
  apiRoute: "/mcp",
  apiHandler: { fetch: async () => Response.json({ jsonrpc: "2.0", id: 1, result: { tools: [] } }) },
  defaultHandler: {
    async fetch(request, { OAUTH_PROVIDER: oauth }) {
      if (new URL(request.url).pathname !== "/authorize") return new Response("up");
      try {
        const asked = await oauth.parseAuthRequest(request);
        const granted = { request: asked, userId: "ada", scope: asked.scope, metadata: {}, props: {} };
        const { redirectTo } = await oauth.completeAuthorization(granted);
        return Response.redirect(redirectTo, 302);
      } catch (error) {
        return error.redirectTo
          ? Response.redirect(error.redirectTo, 302)
          : new Response(error.message, { status: 400 });
      }
    },
  },
  authorizeEndpoint: "/authorize",
  tokenEndpoint: "/oauth/token",
  clientRegistrationEndpoint: "/oauth/register",
  accessTokenTTL: 60,
  scopesSupported: ["read", "offline_access"],
  requiredScopes: ["read"],
  resourceMetadata: { resource: `${origin}/mcp`, authorization_servers: [origin] },
});

createServer(async (incoming, outgoing) => {
  const { method, url, headers } = incoming;
  const hasBody = method !== "GET" && method !== "HEAD";
  const request = new Request(new URL(url, origin), {
    ...{ method, headers },
    ...(hasBody && { body: Readable.toWeb(incoming), duplex: "half" }),
  });
  const response = await provider.fetch(request, env, { waitUntil: () => undefined, props: {} });
  outgoing.writeHead(response.status, Object.fromEntries(response.headers));
  outgoing.end(Buffer.from(await response.arrayBuffer()));
}).listen(port, "127.0.0.1");
