import { execFileSync } from "node:child_process";
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Authority } from "../fakes/certificates.js";
import { hosts, internetAddress } from "./hosts.js";

const bundle = "/etc/ssl/certs/ca-certificates.crt";

/**
 * Before all tests, in a network of its own: its only addresses are this machine's, the names of the fakes lead there, and the machine
 * trusts their certificate. `/home` is empty.
 */
export function setup(): () => void {
  if (process.env["WALK_NETWORK"] === undefined)
    throw new Error("the walk takes the machine's names and ports: run it by npm run test:walk");
  const folder = mkdtempSync(join(tmpdir(), "nexus-walk-"));
  run("ip", "link", "set", "lo", "up");
  run("ip", "address", "add", `${internetAddress}/32`, "dev", "lo");
  const authority = new Authority();
  const { cert, key } = authority.issue({ dns: hosts });
  writeFileSync(join(folder, "cert.pem"), cert);
  writeFileSync(join(folder, "key.pem"), key);
  writeFileSync(join(folder, "bundle.pem"), `${readFileSync(bundle, "utf8")}\n${authority.pem}`);
  writeFileSync(join(folder, "hosts"), `127.0.0.1 localhost\n${internetAddress} ${hosts.join(" ")}\n`);
  appendFileSync(join(folder, "hosts"), "::1 localhost\n");
  run("mount", "--bind", join(folder, "bundle.pem"), bundle);
  run("mount", "--bind", join(folder, "hosts"), "/etc/hosts");
  run("mount", "-t", "tmpfs", "-o", "mode=0755", "none", "/home");
  mkdirSync("/home/tmp", { mode: 0o1777 });
  process.env["NODE_EXTRA_CA_CERTS"] = bundle;
  process.env["WALK_FOLDER"] = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: ["ignore", "ignore", "inherit"] });
}
