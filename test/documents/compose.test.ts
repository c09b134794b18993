import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { loadConfig } from "../../src/config/config.js";
import { extensions } from "../../src/ext/extensions.js";

const environmentOf = (name: string): Record<string, string> =>
  parse(readFileSync(join(import.meta.dirname, "../../deploy", name), "utf8")).services.nexusd.environment;

it("serves REST beyond loopback by TLS, with the settings of the second compose file", () => {
  const own = environmentOf("compose.rest.yaml");
  const load = (environment: Record<string, string>) =>
    loadConfig(
      { ...environment, NEXUS_PUBLIC_URL: "https://nexus.example.com" },
      {},
      { isTTY: false },
      extensions,
    );
  const { httpListen } = load({ ...environmentOf("compose.yaml"), ...own });
  expect(httpListen).toEqual([{ kind: "tcp", host: "0.0.0.0", port: 8090 }]);
  const { NEXUS_TLS_LISTENERS: _, NEXUS_TLS_CERT_FILE: __, NEXUS_TLS_KEY_FILE: ___, ...plain } = own;
  expect(() => load(plain)).toThrow("NEXUS_HTTP_LISTEN");
});
