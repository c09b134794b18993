import { once } from "node:events";
import { chmodSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { status } from "@grpc/grpc-js";
import { expect, onTestFinished, test } from "vitest";
import { authenticateBy } from "../../../src/domain/access/authenticate.js";
import { TokenService } from "../../../src/gen/nexus/v1/token_pb.js";
import { loadSystemCalls, platformOf, type SystemCalls } from "../../../src/runtime/runtime.js";
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

/** Answers as xnu does for a peer of this user: `struct xucred`, whole, or not at all. */
function kernelOfMacOs({ uid = ownUid, version = 0, result = 0, bytes = 76 } = {}) {
  const asked: unknown[] = [];
  const getsockopt: SystemCalls["getsockopt"] = (_fd, level, name, value, length) => {
    asked.push([level, name, value.length, length[0]]);
    if (level !== 0 || name !== 1 || (length[0] ?? 0) < 76) return -1;
    value.writeUInt32LE(version, 0);
    value.writeUInt32LE(uid, 4);
    value.writeInt16LE(1, 8);
    value.writeUInt32LE(20, 12);
    length[0] = bytes;
    return result;
  };
  const load = async () => ({ ...(await loadSystemCalls()), getsockopt });
  return { asked, access: () => openSocketAccess(0o666, platformOf("darwin", "arm64"), load) };
}

test("on macOS, a peer is read by LOCAL_PEERCRED", async () => {
  const kernel = kernelOfMacOs();
  expect(await overGrpc((await openOn(0o666, await kernel.access())).grpcPath)).toBe("owner");
  expect(kernel.asked).toEqual([[0, 1, 76, 76]]);
  const other = kernelOfMacOs({ uid: 501 });
  expect(await overGrpc((await openOn(0o666, await other.access())).grpcPath)).toBe("uid:501");
});

test.each([
  ["of another version", { version: 1 }],
  ["that has ended", { result: -1 }],
  ["of which less is shown", { bytes: 8 }],
])("on macOS, a peer %s is nobody", async (_name, answer) => {
  const { grpcPath } = await openOn(0o666, await kernelOfMacOs(answer).access());
  await expect(overGrpc(grpcPath)).rejects.toMatchObject({ code: status.UNAUTHENTICATED });
});

test.each([
  ["freebsd", "x64", loadSystemCalls, "nexusd cannot read them on freebsd-x64"],
  ["linux", "ppc64", loadSystemCalls, "nexusd cannot read them on linux-ppc64"],
  [
    "darwin",
    "x64",
    () => Promise.reject(new Error("no library")),
    "the system's getsockopt cannot be called: no library",
  ],
])(
  "a wider socket is refused where its peers cannot be read: %s %s",
  async (system, processor, load, message) => {
    const on = platformOf(system, processor);
    await expect(openSocketAccess(0o660, on, load)).rejects.toThrow(message);
    expect(await openSocketAccess(0o600, on, load)).toMatchObject({ mode: 0o600 });
  },
);
