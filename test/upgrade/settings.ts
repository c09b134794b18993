import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort } from "../free_port.js";
import { browserPort, frozenHost, providerPort } from "./frozen_provider.js";
import { type Call, callJson } from "./rpc.js";

/** 32 bytes. */
const testKey = Buffer.from("the key of a test, not a secret!").toString("base64");

export interface FrozenSettings extends NodeJS.ProcessEnv {
  readonly NEXUS_DATA_DIR: string;
  readonly NEXUS_HTTP_LISTEN: string;
  readonly NEXUS_POLICY_FILE: string;
  readonly NEXUS_NOTIFY_SECRETS_FILE: string;
}

/** Of a daemon of any version. */
export async function frozenSettings(dataDir: string): Promise<FrozenSettings> {
  return {
    NEXUS_DATA_DIR: dataDir,
    NEXUS_HTTP_LISTEN: `127.0.0.1:${await freePort()}`,
    NEXUS_OPS_LISTEN: "off",
    NEXUS_CONSOLE_LISTEN: "off",
    NEXUS_BROWSER_LISTEN: `${frozenHost}:${browserPort}`,
    NEXUS_PUBLIC_URL: `http://${frozenHost}:${browserPort}`,
    NEXUS_LOG_FORMAT: "json",
    NEXUS_ALLOW_LOOPBACK_PROVIDERS: "true",
    NEXUS_POLICY_FILE: join(dataDir, "policy.yaml"),
    NEXUS_NOTIFY_URL: `http://${frozenHost}:${providerPort}/hook`,
    NEXUS_NOTIFY_SECRETS_FILE: join(dataDir, "hook.secret"),
  };
}

/** Calls the daemon of these settings as its admin. */
export function callOf(settings: FrozenSettings): Call {
  const admin = readFileSync(join(settings.NEXUS_DATA_DIR, "admin.key"), "utf8").trim();
  return (rpc, request, key = admin, signal = undefined) =>
    callJson(`http://${settings.NEXUS_HTTP_LISTEN}`, key, rpc, request, signal);
}

/** Lays the keys out with which a daemon starts. */
export function writeKeys({
  NEXUS_DATA_DIR: folder,
  NEXUS_NOTIFY_SECRETS_FILE: hookSecrets,
}: FrozenSettings): void {
  mkdirSync(folder, { mode: 0o700 });
  writeFileSync(join(folder, "encryption.key"), `${testKey}\n`, { mode: 0o600 });
  writeFileSync(join(folder, "admin.key"), "nxk_this-is-the-admin-key-of-a-frozen-test\n", { mode: 0o600 });
  writeFileSync(hookSecrets, `whsec_${testKey}\n`, { mode: 0o600 });
}
