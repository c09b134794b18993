import { once } from "node:events";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { expect, it, onTestFinished } from "vitest";
import { AccessService } from "../../../clients/typescript/src/gen/nexus/v1/access_pb.js";
import { AttentionRequired, Nexus, NexusError } from "../../../clients/typescript/src/index.js";

it("renews the lease of its key, and returns when it ends now", async () => {
  const keys: (string | null)[] = [];
  const server = createServer(
    connectNodeAdapter({
      routes: ({ service }) =>
        service(AccessService, {
          renewLease: (_, { requestHeader }) => {
            keys.push(requestHeader.get("authorization"));
            if (keys.length > 1) throw new ConnectError("there is no lease", Code.FailedPrecondition);
            return { lease: { seconds: 60n, nanos: 500_000_000 }, endsAt: { seconds: 1_800_000_000n } };
          },
        }),
    }),
  );
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const nexus = new Nexus({ address: `http://127.0.0.1:${port}`, apiKey: "key" });
  onTestFinished(() => {
    nexus.close();
    server.close();
  });
  expect(await nexus.renewLease()).toEqual({ durationMs: 60_500, endsAt: new Date(1_800_000_000_000) });
  await expect(nexus.renewLease({ timeoutMs: 20_000 })).rejects.toThrow(AttentionRequired);
  expect(keys).toEqual(["Bearer key", "Bearer key"]);
  nexus.close();
  await expect(nexus.renewLease()).rejects.toThrow(NexusError);
});
