import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { AuthorityFiles } from "../../../../src/outbound/outbound.js";
import { Authority } from "../../../fakes/certificates.js";
import { PrivateApi } from "../../../fakes/private_api.js";
import { perTest } from "../../../lifetimes.js";
import { temporaryFolder } from "../../../temporary_folder.js";
import { EgressWorld } from "./egress_world.js";
import { ProxyClient } from "./proxy_client.js";

const path = join(temporaryFolder(), "corp.pem");
const api = perTest(() => PrivateApi.start());
/** Two providers stand for one API, each with a path of its own. */
const egress = perTest(() => {
  writeFileSync(path, api.authority.pem);
  const profile = (name: string) => ({ name, apiBaseUrl: `https://api.localhost:${api.port}/${name}` });
  return EgressWorld.start({
    authorities: new AuthorityFiles({ corp: path }),
    providers: () => [{ ...profile("deep"), apiCaFile: "corp" }, profile("op")],
  });
});
const ask = async (path: string, version: 1 | 2) => {
  const program = new ProxyClient(egress.proxyUrl, egress.authority.pem, api.port);
  const { status, body } = await program.ask(path, { version });
  return status === 502 ? JSON.parse(body).detail : status;
};

describe.each([1, 2] as const)("over HTTP/%i, an API behind a private authority", (version) => {
  it("is reached by the provider that names the authority, and by no other one at the same host", async () => {
    for (let count = 0; count < 2; count++) {
      expect(await ask("/deep/user", version)).toBe(200);
      expect(await ask("/op/user", version)).toMatch(/the TLS certificate of api.localhost is not trusted/);
      expect(await ask("/", version)).toMatch(/the TLS certificate of api.localhost is not trusted/);
    }
    expect(api.requests).toEqual(["GET /deep/user", "GET /deep/user"]);
  });

  it("goes by what the file holds now, and names it where that is of no use", async () => {
    expect(await ask("/deep/user", version)).toBe(200);
    writeFileSync(path, new Authority("Another one").pem);
    expect(await ask("/deep/user", version)).toMatch(/is not trusted here/);
    writeFileSync(path, "nothing");
    expect(await ask("/deep/user", version)).toBe(
      "api_ca_file of deep: the certificate authority file corp is no certificate as PEM",
    );
  });
});

it("an upgrade goes by the same authority", async () => {
  const program = new ProxyClient(egress.proxyUrl, egress.authority.pem, api.port);
  const statusOf = async (path: string): Promise<string | undefined> => {
    const socket = await program.tls("api.localhost", ["http/1.1"]);
    const head = `GET ${path} HTTP/1.1\r\nhost: api.localhost:${api.port}\r\nconnection: Upgrade`;
    socket.write(`${head}\r\nupgrade: websocket\r\n\r\n`);
    for await (const bytes of socket) return /^HTTP\/1\.1 (\d+)/.exec(String(bytes))?.[1];
    return undefined;
  };
  expect(await statusOf("/deep/socket")).toBe("200");
  expect(await statusOf("/op/socket")).not.toBe("200");
});
