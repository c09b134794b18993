import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { daemonAddress, type NexusOptions } from "../../../clients/typescript/src/daemon_address.js";
import { InvalidArgument, Unauthenticated } from "../../../clients/typescript/src/errors.js";
import { temporaryFolder } from "../../temporary_folder.js";

const socketOf = (options: NexusOptions, environment: Record<string, string>) =>
  daemonAddress(options, environment).socketPath;

describe("the address of the daemon", () => {
  it.each([
    [{}, { NEXUS_ADDRESS: "unix:/run/n.sock" }, "/run/n.sock"],
    [{}, { NEXUS_ADDRESS: "unix:///run/n.sock" }, "/run/n.sock"],
    [{ address: "unix:./n.sock" }, { NEXUS_ADDRESS: "http://127.0.0.1:1" }, "./n.sock"],
    [{}, { NEXUS_ADDRESS: "", NEXUS_DATA_DIR: "/data", XDG_DATA_HOME: "/xdg" }, "/data/nexus.sock"],
  ])("%j with %j is %s", (options, environment, expected) => {
    expect(socketOf(options, environment)).toBe(expected);
  });

  it.runIf(process.platform === "linux")("is the socket of the user's daemon by default", () => {
    expect(socketOf({}, { XDG_DATA_HOME: "/xdg" })).toBe("/xdg/nexusd/nexus.sock");
    expect(socketOf({}, { HOME: "/home/ada" })).toBe("/home/ada/.local/share/nexusd/nexus.sock");
  });

  it.each([
    ["unix:", "names no path"],
    ["ftp://host", '"ftp://host" must be unix:/path, http://host:port or https://host:port'],
    ["127.0.0.1:8090", '"127.0.0.1:8090" must be'],
    ["http://host/path", '"http://host/path" must be'],
    ["non\nsense", '"non\\nsense" must be'],
    ["http://ada:s3cret@host", "must not hold a user name or password"],
    ["http://ada:s3cret@host/path", "must not hold a user name or password"],
  ])("refuses %s", (address, message) => {
    const make = () => daemonAddress({ address, apiKey: "k" }, {});
    expect(make).toThrow(InvalidArgument);
    expect(make).toThrow(message);
    expect(make).not.toThrow("s3cret");
  });
});

describe("the key", () => {
  const address = "http://127.0.0.1:8090";

  it("is read again for each call", () => {
    const apiKeyFile = join(temporaryFolder(), "key");
    writeFileSync(apiKeyFile, "one\n");
    const { apiKey } = daemonAddress({ address, apiKeyFile }, { NEXUS_API_KEY: "of the environment" });
    expect(apiKey()).toBe("one");
    writeFileSync(apiKeyFile, "two\n");
    expect(apiKey()).toBe("two");
  });

  it("is not sent over a socket", () => {
    expect(daemonAddress({ address: "unix:/s", apiKey: "k" }, {}).apiKey()).toBeUndefined();
  });

  it("is needed over TCP, unless a certificate says who calls", () => {
    const certificate = { cert: "c", key: "k" };
    const make = (given: NexusOptions) => () =>
      daemonAddress(given, { NEXUS_API_KEY: "", NEXUS_DATA_DIR: "/d" });
    expect(make({ address })).toThrow(InvalidArgument);
    expect(make({ address, certificate })).toThrow(
      `${address} needs a key: set NEXUS_API_KEY_FILE to its file (a daemon of this user has its own in /d/admin.key)`,
    );
    expect(make({ address: "https://host", certificate })().certificate).toBe(certificate);
  });

  it("names the setting of a file that is not there", () => {
    const { apiKey } = daemonAddress({ address }, { NEXUS_API_KEY_FILE: "/no/such/key" });
    expect(apiKey).toThrow(Unauthenticated);
    expect(apiKey).toThrow("NEXUS_API_KEY_FILE");
  });
});
