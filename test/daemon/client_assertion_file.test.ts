import { generateKeyPairSync, randomUUID } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SignJWT } from "jose";
import { expect, it } from "vitest";
import { ConnectionStatus } from "../../src/gen/nexus/v1/connection_pb.js";
import { TokenEndpointAuthMethod } from "../../src/gen/nexus/v1/provider_pb.js";
import { perSuite } from "../lifetimes.js";
import { temporaryFolder } from "../temporary_folder.js";
import { failureOf } from "./errors.js";
import { Place, World } from "./harness.js";
import { machineAt, registered, requestOf } from "./requests.js";

/** Whoever issues the assertions: the cluster, or SPIRE. */
const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const path = join(temporaryFolder(), "token");
const clientId = "pod";
const world = perSuite(async () => {
  const place = await Place.make({ NEXUS_CLIENT_ASSERTION_FILES: `pod=${path}, none=/nonexistent/token` });
  const client = {
    ...{ client_id: clientId, token_endpoint_auth_method: "private_key_jwt" as const },
    jwks: { keys: [publicKey.export({ format: "jwk" })] },
    ...{ redirect_uris: [], response_types: [], grant_types: ["client_credentials"] },
  };
  return await World.make({ clients: [client] }, place);
});

/** As the kubelet does it, with another token. */
async function renew(): Promise<void> {
  const jwt = await new SignJWT({ jti: randomUUID() })
    .setProtectedHeader({ alg: "ES256" })
    .setIssuer(clientId)
    .setSubject(clientId)
    .setAudience(world.provider.issuer)
    .setIssuedAt()
    .setExpirationTime("10m")
    .sign(privateKey);
  writeFileSync(path, `${jwt}\n`);
}

function register(name: string, clientAssertionSource = "pod", more: object = {}): Promise<string> {
  return registered(world.clients, {
    ...{ name, clientId, clientAssertionSource },
    tokenEndpointAuthMethod: TokenEndpointAuthMethod.CLIENT_ASSERTION_FILE,
    ...machineAt(world.provider),
    ...more,
  });
}

it("the certified server takes the JWT of the file, which is read anew for each request", async () => {
  const { connections, tokens } = world.clients;
  await renew();
  const { connection, connectionId } = await connections.requestConnection(requestOf(await register("pod")));
  expect(connection).toMatchObject({ status: ConnectionStatus.ACTIVE });
  await renew();
  await tokens.refreshToken({ connectionId });
  // The server takes a `jti` once.
  const replayed = await failureOf(tokens.refreshToken({ connectionId }));
  expect(replayed.code).toBe("FailedPrecondition");
  expect(world.place.logLines.join("")).not.toContain(readFileSync(path, "utf8").trim().split(".")[2]);
});

it("a file that is not there is asked for again, and the profile stays what it is", async () => {
  const refused = await failureOf(
    world.clients.connections.requestConnection(requestOf(await register("missing", "none"))),
  );
  expect(refused).toMatchObject({ code: "Unavailable" });
  const log = world.place.logLines.join("");
  expect(log).toContain("the client assertion file none cannot be read (ENOENT)");
  expect(log).not.toContain("/nonexistent");
});

it.each([
  [
    "a name that the settings lack",
    { clientAssertionSource: "other" },
    /NEXUS_CLIENT_ASSERTION_FILES: there are pod, none/,
  ],
  ["a path", { clientAssertionSource: "/etc/shadow" }, /client_assertion_source/],
  ["a secret beside it", { clientSecret: "s3cret" }, /must be empty/],
])("%s is refused", async (_, more, why) => {
  const refused = await failureOf(register("refused", "pod", more));
  expect(refused.code).toBe("InvalidArgument");
  expect(refused.message).toMatch(why);
});
