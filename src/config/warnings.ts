import { editDistance } from "../model/suggestions.js";
import type { Config } from "./config.js";
import type { Setting } from "./settings.js";

/** Variables that Kubernetes sets for a service named `nexus` or `nexus-...`. */
const serviceLink = /_(SERVICE_(HOST|PORT(_\w+)?)|PORT(_\d+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?)$/;

/** Edits (insert, remove, change one character) at which a name counts as a slip of the known one. */
const maxEdits = 3;

/** Settings that are legal and probably not meant, one sentence each. The daemon logs them when it starts. */
export function settingWarnings(env: NodeJS.ProcessEnv, config: Config, table: readonly Setting[]): string[] {
  return [...typos(env, table), ...listenerWarnings(env, config), ...networkWarnings(config)];
}

function typos(env: NodeJS.ProcessEnv, table: readonly Setting[]): string[] {
  const known = table.map(({ name }) => name);
  const warnings: string[] = [];
  for (const name of Object.keys(env).sort()) {
    const canonical = name.toUpperCase();
    if (!canonical.startsWith("NEXUS_") || known.includes(name)) continue;
    if (serviceLink.test(canonical)) continue;
    const [nearest] = known
      .map((candidate) => ({ candidate, edits: editDistance(canonical, candidate) }))
      .filter(({ edits }) => edits <= maxEdits)
      .sort((one, other) => one.edits - other.edits);
    if (nearest) warnings.push(`${name} is not a setting: did you mean ${nearest.candidate}?`);
  }
  return warnings;
}

function listenerWarnings(env: NodeJS.ProcessEnv, config: Config): string[] {
  const warnings: string[] = [];
  if (config.grpcListen.length === 0 && config.httpListen.length === 0) {
    warnings.push("NEXUS_GRPC_LISTEN and NEXUS_HTTP_LISTEN are both off: no agent can reach the daemon");
  }
  const sheltered = config.grpcListen.find(
    (address) => address.kind === "unix" && address.path.startsWith(`${config.dataDir}/`),
  );
  if (config.listeners.socketMode !== 0o600 && sheltered) {
    warnings.push(
      "NEXUS_SOCKET_MODE lets other users in, and the data folder, whose mode is 0700, keeps them out: put the socket elsewhere with NEXUS_GRPC_LISTEN",
    );
  }
  const ports = config.browserListen.map((address) => (address.kind === "tcp" ? address.port : undefined));
  const isPublicUrlDefault = config.publicUrl === "http://localhost:8080" && !env["NEXUS_PUBLIC_URL"];
  if (isPublicUrlDefault && !ports.includes(8080) && config.store !== "copy") {
    warnings.push(
      "NEXUS_PUBLIC_URL is not set and its default, http://localhost:8080, is not an address of NEXUS_BROWSER_LISTEN: browsers cannot return from a consent",
    );
  }
  return warnings;
}

function networkWarnings({ providerNetworks }: Config): string[] {
  const { allowLoopback } = providerNetworks;
  if (allowLoopback === false) return [];
  const ports =
    allowLoopback === true
      ? "the ports"
      : `${allowLoopback.length === 1 ? "port" : "ports"} ${allowLoopback.join(", ")}`;
  return [
    `NEXUS_ALLOW_LOOPBACK_PROVIDERS is on: every caller that may write a provider reaches ${ports} of this machine`,
  ];
}
