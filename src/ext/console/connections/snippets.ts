import type { Connection } from "../../../gen/nexus/v1/connection_pb.js";

/** How an agent uses a connection, for each way: what to copy. */
export function snippetsOf(connection: Connection): readonly (readonly [name: string, text: string])[] {
  const { id, providerName, userId, label } = connection;
  const parts = [providerName, userId, label].filter((part) => part !== "");
  const isPlain = parts.every((part) => !/[\s/]/.test(part));
  const word = shellWord(isPlain ? parts.join("/") : id);
  const asked = { provider_name: providerName, user_id: userId, ...(label !== "" && { label }) };
  const [provider, user, account] = [providerName, userId, label].map((part) => JSON.stringify(part));
  const withLabel = (text: string): string => (label === "" ? "" : text);
  return Object.entries({
    "Command line": `nexusd token ${word}

# One request below the API of the provider:
nexusd curl ${word} /`,
    Python: `from nexusd import Nexus

with Nexus() as nexus:
    token = nexus.acquire(${provider}, user=${user}${withLabel(`, label=${account}`)}, on_consent=print)
    print(token.access_token)`,
    TypeScript: `import { Nexus } from "nexusd-client";

const nexus = new Nexus();
const token = await nexus.acquire(${provider}, {
  user: ${user},${withLabel(`\n  label: ${account},`)}
  onConsent: ({ authUrl }) => console.log(authUrl),
});`,
    Go: `client, err := nexus.New()
if err != nil {
	log.Fatal(err)
}
defer client.Close()

token, err := client.Acquire(ctx, ${provider}, ${user}${withLabel(`, nexus.Label(${account})`)})`,
    curl: `curl -sS "$NEXUS_ADDRESS/nexus.v1.TokenService/AcquireToken" \\
  -H "x-api-key: $NEXUS_API_KEY" \\
  -H 'content-type: application/json' \\
  -d ${shellWord(JSON.stringify(asked))}`,
    Proxy: `# nginx, Caddy and Envoy ask before each request, and add the credential:
GET /v1/authorize/${isPlain ? parts.map(encodeURIComponent).join("/") : id}`,
  });
}

function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
