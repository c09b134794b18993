import { hostname } from "node:os";
import { describe, expect, it } from "vitest";
import { forwardingCommand, isLocalUrl, isOverSsh } from "../../../src/cli/consent/remote_machine.js";

const userName = () => "ada";

describe("a browser on another machine", () => {
  it.each([
    [
      "203.0.113.9 50000 192.0.2.7 22",
      "http://localhost:8080/auth/start?state=s",
      "ssh -N -L 8080:localhost:8080 ada@192.0.2.7",
    ],
    [
      "203.0.113.9 50000 192.0.2.7 2222",
      "http://127.0.0.1:9000/",
      "ssh -N -L 9000:127.0.0.1:9000 -p 2222 ada@192.0.2.7",
    ],
    ["2001:db8::9 50000 2001:db8::7 22", "https://localhost/", "ssh -N -L 443:localhost:443 ada@2001:db8::7"],
    ["", "http://localhost:8080/", `ssh -N -L 8080:localhost:8080 ada@${hostname()}`],
  ])("reaches this one by a command: %s", (connection, address, command) => {
    const env = connection === "" ? {} : { SSH_CONNECTION: connection };
    expect(forwardingCommand(address, { env, userName })).toBe(command);
  });

  it.each([
    [{ SSH_CONNECTION: "a b c d" }, true],
    [{ SSH_CONNECTION: "a b c d", BROWSER: "/vscode/browser.sh" }, false],
    [{ SSH_CONNECTION: "" }, false],
    [{}, false],
  ])("is expected over SSH: %j", (env, isRemote) => {
    expect(isOverSsh(env)).toBe(isRemote);
  });

  it.each([
    ["http://localhost:8080/x", true],
    ["http://127.1.2.3/", true],
    ["http://[::1]:80/", true],
    ["https://nexus.example/", false],
    ["https://localhost.example/", false],
    ["no address", false],
  ])("opens %s here alone: %s", (address, isLocal) => {
    expect(isLocalUrl(address)).toBe(isLocal);
  });
});
