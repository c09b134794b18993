import { readWebProxies } from "../../src/config/config.js";
import { SettingReader } from "../../src/config/setting_reader.js";
import { networkWords } from "../../src/outbound/network_words.js";
import { createOutboundFetch, OutboundError } from "../../src/outbound/outbound_fetch.js";
import { loopbackNetworks } from "../fakes/loopback_networks.js";

/** Posts to each URL of its arguments and prints what came of it: the authorities that it trusts, and proxies, come by its environment. */
const lookup = async () => [{ address: "127.0.0.1", family: 4 }];
const proxies = readWebProxies(new SettingReader(process.env, {}));
const fetch = createOutboundFetch({ networks: loopbackNetworks, lookup, proxies, timeoutMs: 5_000 });
const outcomes: string[] = [];
for (const url of process.argv.slice(2)) {
  const request = { method: "POST", headers: {}, body: "refresh_token=canary" } as const;
  outcomes.push(
    await fetch(url, request).then(
      async (response) => `${response.status} ${await response.text()}`,
      (error: unknown) => (error instanceof OutboundError ? failureOf(error) : String(error)),
    ),
  );
}

function failureOf(error: OutboundError): string {
  const { words, isClock } = networkWords(error);
  return `${error.reason} ${error.phase}${isClock ? `: ${words}` : ""}`;
}

process.stdout.write(JSON.stringify(outcomes));
