import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import type { Clients } from "../../../daemon/harness.js";
import { Authority, type Issued } from "../../../fakes/certificates.js";
import { temporaryFolder } from "../../../temporary_folder.js";

export const authority = new Authority();
export const spokeName = "spiffe://nexus.test/spoke";

/** Writes a file of its own. */
export function fileOf(text: string): string {
  const path = join(temporaryFolder(), "file");
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

const caFile = (): string => fileOf(authority.pem);

/** Of a daemon that spokes may take for their hub: its listener for calls speaks TLS, and knows certificates. */
export function hubSettings(server = authority.issueServer()): NodeJS.ProcessEnv {
  const agents = `principals: ["cert:${spokeName}"]\n    role: agent\n    user_ids: ["*"]`;
  return {
    NEXUS_TLS_CERT_FILE: fileOf(server.cert),
    NEXUS_TLS_KEY_FILE: fileOf(server.key),
    NEXUS_TLS_CLIENT_CA_FILE: caFile(),
    NEXUS_TLS_LISTENERS: "http",
    NEXUS_POLICY_FILE: fileOf(`bindings:\n  - ${agents}\n`),
  };
}

export function spokeSettings(urls: readonly string[], identity: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return { NEXUS_UPSTREAM: urls.join(","), NEXUS_UPSTREAM_CA_FILE: caFile(), ...identity };
}

/** The identity of an API key that a spoke shows. */
export async function keyIdentity(
  { access }: Clients,
  name: string,
  restriction: { userIds?: string[] } = {},
): Promise<NodeJS.ProcessEnv> {
  const { key } = await access.createApiKey({ name, role: Role.AGENT, restriction });
  return { NEXUS_UPSTREAM_TOKEN_FILE: fileOf(key) };
}

/** The identity of a certificate. */
export function certificateIdentity(
  issued: Issued = authority.issue({ uris: [spokeName] }),
): NodeJS.ProcessEnv {
  return { NEXUS_UPSTREAM_CERT_FILE: fileOf(issued.cert), NEXUS_UPSTREAM_KEY_FILE: fileOf(issued.key) };
}
