/** An agent that calls an API every second on behalf of users. It prints what came of it whenever that changes, and never a token. */
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Nexus, NexusError, Unavailable } from "nexusd-client";

const usage = `usage: agent [--address A] --call URL PROVIDER/USER...
  --address  unix:PATH or http://HOST:PORT (NEXUS_ADDRESS)`;

const { values, positionals } = parseArgs({
  options: { address: { type: "string" }, call: { type: "string" } },
  allowPositionals: true,
});
const url = values.call;
if (url === undefined || positionals.length === 0) {
  console.error(usage);
  process.exit(2);
}
const nexus = new Nexus({ address: values.address });

/** Throws what another attempt does not fix. */
async function work(name: string, apiUrl: string): Promise<never> {
  const [provider = "", user = ""] = name.split("/");
  const api = nexus.fetch(provider, { user });
  const onConsent = ({ authUrl }: { authUrl: string }) => console.log(`${name}  open ${authUrl}`);
  for (let last = ""; ; await sleep(1_000)) {
    let line: string;
    try {
      await nexus.acquire(provider, { user, onConsent });
      const response = await api(apiUrl, { signal: AbortSignal.timeout(10_000) });
      await response.body?.cancel();
      // After the call: it may have got the next token.
      const { revision } = await nexus.token(provider, { user });
      line = `revision ${revision}  API answered ${response.status}`;
    } catch (error) {
      if (error instanceof NexusError && !(error instanceof Unavailable)) throw error;
      line = (error as Error).message;
    }
    if (line !== last) console.log(`${name}  ${line}`);
    last = line;
  }
}

try {
  await Promise.all(positionals.map((name) => work(name, url)));
} catch (error) {
  console.error((error as Error).message);
  process.exit(1);
}
