import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ConsentRequired, Nexus, Unauthenticated, Unavailable } from "../../clients/typescript/src/index.js";
import { Authority } from "../fakes/certificates.js";
import { perSuite } from "../lifetimes.js";
import { writePair } from "../server/tls_fixture.js";
import { temporaryFolder } from "../temporary_folder.js";
import { Place, World } from "./harness.js";

/** What `npm run test:clients` does not play: TLS. The rest of the library's behaviour is there. */
describe("the TypeScript client over TLS", () => {
  const authority = new Authority("Server CA");
  const clientAuthority = new Authority("Client CA");
  const folder = temporaryFolder();
  const world = perSuite(async () => {
    const pair = writePair(folder, authority.issueServer());
    const { certFile } = writePair(temporaryFolder(), { cert: clientAuthority.pem, key: "" });
    const place = await Place.make({
      NEXUS_TLS_CERT_FILE: pair.certFile,
      NEXUS_TLS_KEY_FILE: pair.keyFile,
      NEXUS_TLS_CLIENT_CA_FILE: certFile,
      NEXUS_TLS_LISTENERS: "http",
    });
    const made = await World.make({}, place);
    await made.register();
    return made;
  });
  const ask = async (options: object): Promise<unknown> => {
    const { httpUrl } = world.place;
    using nexus = new Nexus({ address: httpUrl, ...options });
    return await nexus.token("op", { user: "ada" }).catch((error: unknown) => error);
  };

  it("trusts the authority that it is given, and sends the key", async () => {
    const apiKeyFile = join(world.place.config.dataDir, "admin.key");
    expect(await ask({ ca: authority.pem, apiKeyFile })).toBeInstanceOf(ConsentRequired);
  });

  it("calls no server that it does not trust", async () => {
    const error = await ask({ apiKey: "k" });
    expect(error).toBeInstanceOf(Unavailable);
    expect(String(error)).toContain("certificate");
  });

  it("sends a client certificate, which is no admin's", async () => {
    const { cert, key } = clientAuthority.issue({ subject: [["CN", "agent"]] });
    const error = await ask({ ca: authority.pem, certificate: { cert, key } });
    // Known by its certificate, it may not do anything without a policy; unknown, it would be Unauthenticated.
    expect(error).not.toBeInstanceOf(Unauthenticated);
    expect(await ask({ ca: authority.pem, apiKey: "wrong" })).toBeInstanceOf(Unauthenticated);
  });
});
