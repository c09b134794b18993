import { fork } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { DaemonProcess } from "../../../daemon/daemon_process.js";
import { Place } from "../../../daemon/harness.js";
import { registeredAt } from "../../../daemon/requests.js";
import { startOpenIdProvider } from "../../../fakes/openid_provider.js";
import { freePort } from "../../../free_port.js";
import { perSuite } from "../../../lifetimes.js";
import { connected, ListenerWorld } from "./listener_world.js";

const world = perSuite(() => ListenerWorld.start({ NEXUS_EGRESS_MAX_CONNECTIONS: "3" }));
const provider = perSuite(() => startOpenIdProvider({ redirectUris: [] }));

const basic = (password: string): string => Buffer.from(`ada:${password}`).toString("base64");
const connectTo = (host: string, password: string): string =>
  `CONNECT ${host} HTTP/1.1\r\nhost: a\r\nproxy-authorization: Basic ${basic(password)}\r\n\r\n`;

const agent = (name: string) => ({ name, role: Role.AGENT, restriction: { userIds: ["ada"] } });

it("gives each caller as many connections as the setting says, and others theirs", async () => {
  const { daemon, address, api } = world;
  const keys = await Promise.all(
    ["one", "other"].map(async (name) => (await daemon.clients.access.createApiKey(agent(name))).key),
  );
  await daemon.caughtUp();
  const [host, port] = address.split(":");
  const opened: Socket[] = [];
  const tunnel = async (password = ""): Promise<string> => {
    const socket = connect({ host, port: Number(port) });
    onTestFinished(() => void socket.destroy());
    opened.push(socket);
    socket.write(connectTo(`api.localhost:${api.port}`, password));
    const [answer] = await once(socket, "data");
    return String(answer);
  };
  for (const password of keys)
    for (let count = 0; count < 3; count++) expect(await tunnel(password)).toContain("200");
  const refused = await tunnel(keys[0]);
  expect(refused).toContain("429");
  expect(refused).toContain("one caller may have 3 connections to this proxy (NEXUS_EGRESS_MAX_CONNECTIONS)");
  opened[0]?.write("no TLS\r\n\r\n");
  await expect.poll(() => tunnel(keys[0])).toContain("200");
});

it("keeps descriptors back from the tunnels of an agent: providers, operators and probes go on", async () => {
  const listen = `127.0.0.1:${await freePort()}`;
  const place = await Place.make({
    NEXUS_EGRESS_LISTEN: listen,
    NEXUS_EGRESS_MAX_CONNECTIONS: "5000",
    NEXUS_ALLOW_LOOPBACK_PROVIDERS: "true",
  });
  const limited = ["sh", "-c", 'ulimit -n 400; exec "$@"', "sh"];
  const daemon = new DaemonProcess(place.environment, ["serve"], limited);
  onTestFinished(() => void daemon.kill("SIGKILL"));
  await daemon.ready();
  const clients = place.clients();
  await connected(clients, { port: 443 });
  const { key } = await clients.access.createApiKey(agent("greedy"));
  const program = join(import.meta.dirname, "strangers.mjs");
  const text = connectTo("api.localhost:443", key);
  const tunnels = fork(program, [...listen.split(":"), "1000", text], { execArgv: [] });
  onTestFinished(() => void tunnels.kill());
  await once(tunnels, "message");
  await expect.poll(() => daemon.output).toContain('"code":"EMFILE"');

  await registeredAt(provider, place.clients());
  for (let count = 0; count < 10; count++) {
    const probe = await fetch(`${place.opsUrl}/readyz`, { headers: { connection: "close" } });
    expect(probe.status).toBe(200);
  }
  const open = async (): Promise<number> => {
    tunnels.send("count");
    const [count] = await once(tunnels, "message");
    return count;
  };
  // The rest of 300 is what the daemon itself has open.
  await expect.poll(open).toBeLessThan(300);
  expect(await open()).toBeGreaterThan(200);
});
