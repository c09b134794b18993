import { create } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { expect, test } from "vitest";
import { Daemon } from "../../src/daemon/daemon.js";
import { FleetService, ReachResponseSchema } from "../../src/gen/nexus/fleet/v1/fleet_pb.js";
import { defineService } from "../../src/service/pipeline/service_definition.js";
import { ManualClock } from "../fakes/manual_clock.js";
import { silentLog } from "../silent_log.js";
import { Place, socketTransport } from "./harness.js";

const never = (): never => {
  throw new Error("not of this test");
};
const optionsOf = ({ config, environment }: Place) => ({
  ...{ config, environment, clock: new ManualClock(Date.now()) },
  ...{ log: silentLog, random: () => 0.5, onFatal: never },
});

test("an extension adds a service with its access, and counts", async () => {
  const place = await Place.make();
  const implementation = {
    ...{ call: never, refresh: never, page: never, appendAudit: never, hold: never, takeBack: never },
    reach: () => create(ReachResponseSchema, { mayLead: true }),
  };
  const described = Object.fromEntries(
    FleetService.methods.map(({ localName }) => [localName, { action: "self.read" as const }]),
  );
  const service = defineService(FleetService, implementation, { described });
  const daemon = await Daemon.start(optionsOf(place), [
    {
      name: "trial",
      open: async ({ metrics }, registry) => {
        metrics.addOutcomes("nexus_trial_total", "A trial.", ["ok"])("ok");
        registry.rpc(service);
      },
    },
  ]);
  const transport = socketTransport(place.socket);
  expect((await createClient(FleetService, transport).reach({})).mayLead).toBe(true);
  expect(await (await fetch(`${place.opsUrl}/metrics`)).text()).toContain(
    'nexus_trial_total{outcome="ok"} 1',
  );
  await daemon.stop();
});

test("a daemon with a policy file that no extension reads does not start", async () => {
  const place = await Place.make({ NEXUS_POLICY_FILE: "policy.yaml" });
  await expect(Daemon.start(optionsOf(place), [])).rejects.toThrow(
    "NEXUS_POLICY_FILE is set, but this build of nexusd reads no policy files: unset it",
  );
});
