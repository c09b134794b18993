import { text } from "node:stream/consumers";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import type { AcquireTokenResponseSchema } from "../../../../src/gen/nexus/v1/token_pb.js";
import { CertifiedApi } from "../../../fakes/certified_api.js";
import { perTest } from "../../../lifetimes.js";
import { EgressWorld, tokenOf } from "./egress_world.js";
import { ProxyClient } from "./proxy_client.js";

const api = perTest(() => CertifiedApi.start());
const egress = perTest(() => {
  const providers = () => ["deep", "op"].map((name) => profile(name));
  return EgressWorld.start({ roots: api.ca, providers });
});
/** Two providers stand for one API, each with a path of its own. */
const profile = (name: string) => ({ name, apiBaseUrl: `https://api.localhost:${api.port}/${name}` });

function holding(credentials: Record<string, string>): MessageInitShape<typeof AcquireTokenResponseSchema> {
  const value = { headerName: "X-API-Key", credentialField: "api_key" };
  const strategy = { kind: { case: "header" as const, value } };
  return { result: { case: "token", value: { revision: 1n, credentials, strategy } } };
}
const program = () => new ProxyClient(egress.proxyUrl, egress.authority.pem, api.port);

describe.each([1, 2] as const)(
  "over HTTP/%i, an API that asks for a certificate of the client",
  (version) => {
    it("gets that of the credential, and the key as a header beside it", async () => {
      egress.acquired = [holding(api.fieldsOf("ada"))];
      for (let count = 0; count < 2; count++)
        expect(await program().ask("/deep/user", { version })).toMatchObject({
          status: 200,
          body: "ada",
        });
      expect(api.keys).toEqual(["key-of-ada", "key-of-ada"]);
      // The second request took the connection of the first one.
      expect(api.shown).toEqual(["ada"]);
    });

    it("gets none over a connection that was opened for another credential", async () => {
      const [ada, bob] = [holding(api.fieldsOf("ada")), holding(api.fieldsOf("bob"))];
      egress.acquired = [ada, bob, ada, bob];
      const bodies: string[] = [];
      for (const path of ["/deep/1", "/op/2", "/deep/3", "/op/4"])
        bodies.push((await program().ask(path, { version })).body);
      expect(bodies).toEqual(["ada", "bob", "ada", "bob"]);
      expect(api.shown).toEqual(["ada", "bob"]);
    });

    it("is not reached without one, and the answer says what is missing", async () => {
      egress.acquired = [holding(api.fieldsOf("ada")), tokenOf("bare")];
      expect(await program().ask("/deep/1", { version })).toMatchObject({ status: 200 });
      const { status, body } = await program().ask("/deep/2", { version });
      expect([status, JSON.parse(body).detail]).toEqual([
        502,
        expect.stringContaining("check tls_client_certificate and tls_client_key of the connection"),
      ]);
      expect(api.shown).toEqual(["ada"]);
    });
  },
);

it("is shown to an API that upgrades a connection", async () => {
  egress.acquired = [holding(api.fieldsOf("ada"))];
  const socket = await program().tls("api.localhost", ["http/1.1"]);
  const head = `GET /deep/socket HTTP/1.1\r\nhost: api.localhost:${api.port}\r\nconnection: Upgrade`;
  socket.write(`${head}\r\nupgrade: websocket\r\n\r\n`);
  expect(await text(socket)).toMatch(/^HTTP\/1\.1 101 .*\r\n(.*\r\n)+\r\nada$/);
});
