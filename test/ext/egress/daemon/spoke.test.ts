import { expect, it } from "vitest";
import { Role } from "../../../../src/gen/nexus/v1/access_pb.js";
import { freePort } from "../../../free_port.js";
import { perSuite } from "../../../lifetimes.js";

import { certificateIdentity, SingleHub, SpokeProcess } from "../../spoke/daemon/spokes.js";
import { ApiStandIn } from "../api_stand_in.js";
import { ProxyClient } from "../proxy/proxy_client.js";
import { connected, key, settingsFor } from "./listener_world.js";

const world = perSuite(async () => {
  const api = await ApiStandIn.start();
  const hub = await SingleHub.start({ NEXUS_ALLOW_LOOPBACK_PROVIDERS: "true" });
  await connected(hub.clients, api);
  const spoke = await SpokeProcess.of([hub.url], certificateIdentity());
  const listen = `127.0.0.1:${await freePort()}`;
  Object.assign(spoke.environment, { ...settingsFor(api), NEXUS_EGRESS_LISTEN: listen });
  await spoke.start();
  const stop = async (): Promise<void> => {
    await Promise.all([spoke.close(), hub.close(), api.stop()]);
  };
  return { api, hub, spoke, listen, stop };
});

it("serves egress at a spoke from its copy, and goes on while the hub is away", async () => {
  const { api, hub, spoke, listen } = world;
  const restriction = { userIds: ["ada"] };
  const made = await spoke.clients.access.createApiKey({ name: "agent", role: Role.AGENT, restriction });
  const ca = await (await fetch(`http://${listen}/ca.pem`)).text();
  const program = new ProxyClient(new URL(`http://ada:${made.key}@${listen}`), ca, api.port);
  expect(await program.ask("/v1/user")).toMatchObject({ status: 200, body: "ok" });
  await hub.daemon.kill("SIGKILL");
  expect(await program.ask("/v1/user", { version: 2 })).toMatchObject({ status: 200, body: "ok" });
  expect(api.received.map(({ headers }) => headers["x-api-key"])).toEqual([key, key]);
});
