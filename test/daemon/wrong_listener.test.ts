import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { run } from "../../src/cli/program.js";
import { ended, fakeShell } from "../cli/fake_shell.js";
import { Authority } from "../fakes/certificates.js";
import { freePort } from "../free_port.js";
import { perSuite } from "../lifetimes.js";
import { writePair } from "../server/tls_fixture.js";
import { temporaryFolder } from "../temporary_folder.js";
import { TestDaemon } from "./harness.js";

describe("a command that is sent to a wrong listener", () => {
  const daemon = perSuite(() => {
    const pair = writePair(temporaryFolder(), new Authority("Server CA").issueServer());
    const tls = { NEXUS_TLS_CERT_FILE: pair.certFile, NEXUS_TLS_KEY_FILE: pair.keyFile };
    return TestDaemon.start({ ...tls, NEXUS_TLS_LISTENERS: "http" });
  });

  const origin = (scheme: string, listener: string): string =>
    `${scheme}://${daemon.place.environment[`NEXUS_${listener}_LISTEN`]}`;

  it.each([
    ["http", "BROWSER", "is the browser listener: commands use the http listener (NEXUS_HTTP_LISTEN"],
    ["http", "OPS", "is the ops listener: commands use the http listener (NEXUS_HTTP_LISTEN"],
    ["https", "OPS", "speaks plain text: write http://127"],
    ["http", "HTTP", "speaks TLS: write https://127"],
  ])("is told so: %s at the %s listener", async (scheme, listener, sentence) => {
    const address = origin(scheme, listener);
    for (const command of [["connections"], ["watch"]]) {
      const apiKeyFile = join(daemon.place.config.dataDir, "admin.key");
      const env = { NEXUS_ADDRESS: address, NEXUS_API_KEY_FILE: apiKeyFile };
      const shell = await ended(20, command, fakeShell({ env }));
      expect(shell.err()).toContain(`${address} ${sentence}`);
      expect(shell.err()).not.toMatch(/Protocol error|SSL routines/);
    }
  });

  it.each([
    ["http", "BROWSER", 20, "is the browser listener: commands use the http listener"],
    ["http", "HTTP", 20, "speaks TLS: write https://127"],
    ["https", "HTTP", 2, "NEXUS_API_KEY_FILE"],
  ])(
    "is told so before it is told that a key is missing: %s at the %s listener",
    async (scheme, listener, code, text) => {
      const shell = fakeShell({ env: { NEXUS_ADDRESS: origin(scheme, listener) } });
      expect(await run(["connections"], shell)).toBe(code);
      expect(shell.err()).toContain(text);
    },
  );

  it("is told when nothing answers there, before the key", async () => {
    const address = `http://127.0.0.1:${await freePort()}`;
    const shell = await ended(20, ["connections", "--address", address], fakeShell());
    expect(shell.err()).toContain(`nothing answers at ${address}`);
    expect(shell.err()).not.toContain("API_KEY");
  });
});
