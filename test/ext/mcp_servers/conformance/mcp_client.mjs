/** An MCP server refused the token, or asked for one. */
export class Refused extends Error {
  constructor(status, wwwAuthenticate) {
    super(`the MCP server answers ${status}`);
    this.status = status;
    this.wwwAuthenticate = wwwAuthenticate;
  }
}

let nextId = 1;

/** Streamable HTTP: one request of JSON-RPC, with the headers and `_meta` of its revision of the protocol. */
export async function request(url, version, method, params, accessToken) {
  const isNotification = method.startsWith("notifications/");
  const isStateless = version >= "2026-07-28";
  const meta = {
    "io.modelcontextprotocol/protocolVersion": version,
    "io.modelcontextprotocol/clientInfo": { name: "nexusd-conformance", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const name = params?.name;
  const response = await fetch(url, {
    method: "POST",
    headers: {
      accept: "application/json, text/event-stream",
      "content-type": "application/json",
      "mcp-protocol-version": version,
      ...(isStateless ? { "mcp-method": method } : {}),
      ...(isStateless && name ? { "mcp-name": name } : {}),
      ...(accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` }),
    },
    body: JSON.stringify({
      jsonrpc: "2.0",
      ...(isNotification ? {} : { id: nextId++ }),
      method,
      ...(isStateless ? { params: { ...params, _meta: meta } } : params ? { params } : {}),
    }),
  });
  const text = await response.text();
  if (response.status === 401 || response.status === 403) {
    throw new Refused(response.status, response.headers.get("www-authenticate") ?? "");
  }
  if (!response.ok)
    throw new Error(`${method}: the MCP server answers ${response.status}: ${text.slice(0, 300)}`);
  if (isNotification) return undefined;
  const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
  const message = JSON.parse(isStream ? (/^data: ?(.*)$/m.exec(text)?.[1] ?? "") : text);
  if (message.error) throw new Error(`${method}: ${JSON.stringify(message.error)}`);
  return message.result;
}
