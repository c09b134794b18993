import { expect, it } from "vitest";
import { loadConfig } from "../../../src/config/config.js";
import { consoleSettings } from "../../../src/ext/console/console_settings.js";
import { webConsole } from "../../../src/ext/console/extension.js";
import { violationsIn } from "../../config/violations.js";

const load = (env: Record<string, string>) =>
  loadConfig({ NEXUS_DATA_DIR: "/data", ...env }, {}, { isTTY: false }, [webConsole]);
const read = (env: Record<string, string>) => consoleSettings.of(load(env));
const violationsOf = (env: Record<string, string>) => violationsIn(() => load(env));

it("listens on loopback where nothing is said, also with a port base", () => {
  const loopback = (port: number) => [{ kind: "tcp", host: "127.0.0.1", port }];
  expect(read({})).toEqual({ listen: loopback(0), url: undefined });
  expect(read({ NEXUS_PORT_BASE: "9100" }).listen).toEqual(loopback(9103));
  expect(read({ NEXUS_CONSOLE_LISTEN: "off" }).listen).toEqual([]);
});

it("is refused plain text beyond this machine, and speaks TLS when it is named", () => {
  const pair = { NEXUS_TLS_CERT_FILE: "/tls/tls.crt", NEXUS_TLS_KEY_FILE: "/tls/tls.key" };
  const env = { NEXUS_CONSOLE_LISTEN: "0.0.0.0:7000", ...pair };
  expect(violationsOf(env)).toEqual([expect.stringContaining("name console in NEXUS_TLS_LISTENERS")]);
  expect(violationsOf({ ...env, NEXUS_TLS_LISTENERS: "grpc,console" })).toEqual([]);
  expect(violationsOf({ NEXUS_CONSOLE_LISTEN: "0.0.0.0:7000", NEXUS_INSECURE: "console" })).toEqual([]);
});

it.each(["https://nexus.example/console", "http://nexus.example", "nexus.example"])(
  "does not take %j for its URL",
  (url) => {
    expect(violationsOf({ NEXUS_CONSOLE_URL: url })).toEqual([expect.stringContaining("NEXUS_CONSOLE_URL")]);
  },
);
