import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { AuthType } from "../../../../src/gen/nexus/v1/provider_pb.js";
import { CertifiedApi, certifiedSchema } from "../../../fakes/certified_api.js";
import { perSuite } from "../../../lifetimes.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { ProxyClient } from "../proxy/proxy_client.js";
import { ListenerWorld } from "./listener_world.js";

const api = perSuite(() => CertifiedApi.start());
const world = perSuite(() => {
  const roots = join(temporaryFolder(), "roots.pem");
  writeFileSync(roots, api.ca);
  return ListenerWorld.start({ NODE_EXTRA_CA_CERTS: roots });
});

it("the egress listener shows an API the certificate of the user's credential, and no other user's", async () => {
  const { clients } = world.daemon;
  const apiBaseUrl = `https://api.localhost:${api.port}`;
  const profile = { name: "bank", authType: AuthType.API_KEY, apiBaseUrl, credentialSchema: certifiedSchema };
  const { provider } = await clients.providers.createProvider({ provider: profile });
  const providerId = provider?.id ?? "";
  const fields = { ada: api.fieldsOf("ada"), bob: api.fieldsOf("bob") };
  for (const userId of ["ada", "bob"] as const)
    await clients.connections.importConnection({ providerId, userId, credentials: fields[userId] });
  const { key } = await clients.access.createApiKey({
    role: Role.AGENT,
    name: "both",
    restriction: { userIds: ["ada", "bob"] },
  });
  await world.daemon.caughtUp();
  for (const user of ["ada", "bob", "ada"]) {
    const proxy = new URL(`http://${user}:${key}@${world.address}`);
    const program = new ProxyClient(proxy, await world.ca(), api.port);
    expect(await program.ask("/user")).toMatchObject({ status: 200, body: user });
  }
  const mixed = { ...fields.ada, tls_client_key: fields.bob.tls_client_key };
  const request = { providerId, userId: "eve", credentials: mixed };
  await expect(clients.connections.importConnection(request)).rejects.toThrow(
    "credentials.tls_client_certificate: is of another key than tls_client_key",
  );
});
