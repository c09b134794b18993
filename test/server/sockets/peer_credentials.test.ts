import { once } from "node:events";
import { chmodSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { expect, onTestFinished, test } from "vitest";
import { authenticateBy } from "../../../src/domain/access/authenticate.js";
import { TokenService } from "../../../src/gen/nexus/v1/token_pb.js";
import { ApiListener } from "../../../src/server/api/api_listener.js";
import { openSocketAccess, type SocketAccess } from "../../../src/server/sockets/peer_credentials.js";
import { ApiKey } from "../../../src/vault/api_key_file.js";
import { ManualClock } from "../../fakes/manual_clock.js";
import { temporaryFolder } from "../../temporary_folder.js";
import { apiKey, FakeServices, noKeys } from "../fake_services.js";
import { GrpcTestClient } from "../grpc_client.js";
import { opened } from "../temporary.js";

const ownUid = process.getuid?.() ?? -1;
const unauthenticated = 12_345;

async function openOn(mode: number, access?: SocketAccess) {
  const folder = temporaryFolder();
  chmodSync(folder, 0o755);
  const [grpcPath, httpPath] = [join(folder, "grpc.sock"), join(folder, "http.sock")];
  const { services, onUnexpected } = new FakeServices();
  const authenticate = authenticateBy({ adminKey: new ApiKey(apiKey), keys: noKeys, ownUid, nowMs: () => 0 });
  const sockets = access ?? (await openSocketAccess(mode));
  const common = {
    ...{ services, authenticate, onUnexpected, sockets, setting: "NEXUS_X_LISTEN" },
    clock: new ManualClock(0),
  };
  await opened(new ApiListener({ ...common, name: "grpc", listen: { kind: "unix", path: grpcPath } }));
  await opened(new ApiListener({ ...common, name: "http", listen: { kind: "unix", path: httpPath } }));
  return { grpcPath, httpPath };
}

/** Whom the grpc listener takes this process for. */
async function overGrpc(path: string, token?: string): Promise<string | undefined> {
  const metadata: Record<string, string> = token === undefined ? {} : { "x-api-key": token };
  const client = new GrpcTestClient(`unix:${path}`, metadata);
  onTestFinished(() => client.close());
  const answer = await client.call(TokenService.method.getToken, { connectionId: "x" });
  return answer.token?.grantedScopes[1];
}

test.each([0o600, 0o660, 0o666])("a socket has the mode %o from its first moment", async (mode) => {
  const { grpcPath, httpPath } = await openOn(mode);
  expect(statSync(grpcPath).mode & 0o777).toBe(mode);
  expect(statSync(httpPath).mode & 0o777).toBe(mode);
});

test("the daemon's own user is the owner, whatever the mode", async () => {
  expect(await overGrpc((await openOn(0o600)).grpcPath)).toBe("owner");
  expect(await overGrpc((await openOn(0o666)).grpcPath)).toBe("owner");
});

test("a key that is shown on a socket names the caller, and a wrong one makes nobody of the owner", async () => {
  const { grpcPath } = await openOn(0o600);
  expect(await overGrpc(grpcPath, apiKey)).toBe("admin");
  await expect(overGrpc(grpcPath, "wrong")).rejects.toMatchObject({ code: status.UNAUTHENTICATED });
});

test("a peer that cannot be read is nobody, and is not taken for the owner", async () => {
  const { grpcPath } = await openOn(0o666, { mode: 0o666, uidOf: () => undefined });
  await expect(overGrpc(grpcPath)).rejects.toMatchObject({ code: status.UNAUTHENTICATED });
  expect(await overGrpc(grpcPath, apiKey)).toBe("admin");
});

test("the superuser is the owner of its own sockets alone", async () => {
  const { grpcPath } = await openOn(0o666, {
    mode: 0o666,
    uidOf: () => (ownUid === 0 ? unauthenticated : 0),
  });
  expect(await overGrpc(grpcPath)).toBe(`uid:${ownUid === 0 ? unauthenticated : 0}`);
});

test("a connection without a descriptor has no user", async () => {
  const { uidOf } = await openSocketAccess(0o666);
  const path = (await openOn(0o600)).grpcPath;
  const socket = connect(path);
  await once(socket, "connect");
  expect(uidOf?.(socket)).toBe(ownUid);
  socket.destroy();
  expect(uidOf?.(socket)).toBeUndefined();
});
