import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it, onTestFinished } from "vitest";
import type { Container } from "../../src/ext/kubernetes/injector/pod.js";
import { forms, type InjectorOptions } from "../../src/ext/kubernetes/injector/sidecar.js";
import { DaemonProcess } from "../daemon/daemon_process.js";
import { aPod, type Inject, injected } from "../ext/kubernetes/injector/pods.js";
import { freePort } from "../free_port.js";
import { perTest } from "../lifetimes.js";
import { temporaryFolder } from "../temporary_folder.js";
import { FrozenFolder } from "./frozen_world.js";
import { built, FrozenVersion, programOf, root } from "./version.js";

/** Of a build; undefined for a version that has no injector. */
async function injectorOf(checkout: string): Promise<Inject | undefined> {
  const file = join(checkout, "dist/ext/kubernetes/injector/inject_pod.js");
  if (!existsSync(file)) return undefined;
  return ((await import(pathToFileURL(file).href)) as { injectPod: Inject }).injectPod;
}

const options: InjectorOptions = {
  ...{ injector: "agents-nexusd-injector", image: "registry.example.com/nexusd", audience: "nexusd" },
  ...{ upstream: "https://nexusd.agents.svc", upstreamCa: undefined },
};

const versions = FrozenVersion.all().filter(({ frozen }) => frozen.version !== "0.1.0");

describe.each(versions)("the injector of $name", (version) => {
  const injectors = async (): Promise<{ theirs: Inject; ours: Inject }> => {
    const [theirs, ours] = [await injectorOf(built(version.frozen.commit)), await injectorOf(root)];
    if (!theirs || !ours) throw new Error("a version has no injector");
    return { theirs, ours };
  };

  it.each(forms)("and this one leave a pod alone that the other one has changed (%s)", async (form) => {
    const { theirs, ours } = await injectors();
    const pod = aPod({ annotations: { "nexusd.dev/form": form, "nexusd.dev/user": "ada" } });
    for (const [first, second] of [
      [theirs, ours],
      [ours, theirs],
    ] as const) {
      const once = injected(first, pod, options);
      expect(once).not.toEqual(pod);
      expect(second(once, options)).toMatchObject({ patch: [] });
    }
  });

  describe("makes a sidecar", () => {
    const hub = perTest(() => FrozenFolder.of(version));

    async function started(program: readonly string[], settings: NodeJS.ProcessEnv): Promise<void> {
      const daemon = new DaemonProcess(settings, ["serve"], [], program);
      onTestFinished(async () => void (await daemon.kill("SIGKILL")));
      await daemon.ready();
    }

    /** The paths of a pod become those of a folder, and its port one that is free. */
    function variablesOf({ env = [] }: Container, folder: string, port: number): NodeJS.ProcessEnv {
      const local = (value: string) =>
        value
          .replaceAll("/data/nexusd", join(folder, "data"))
          .replaceAll("/run/nexus/", `${folder}/`)
          .replaceAll("/etc/nexus/place", folder)
          .replace(/^0\.0\.0\.0:\d+$/, `127.0.0.1:${port}`);
      return Object.fromEntries(env.map(({ name, value = "" }) => [name, local(value)]));
    }

    /** What the agent of a pod gets of the sidecar. */
    async function token(inject: Inject, program: readonly string[]): Promise<string> {
      const folder = join(temporaryFolder(), "pod");
      mkdirSync(folder);
      const upstream = `http://${hub.settings.NEXUS_HTTP_LISTEN}`;
      const { metadata, spec } = injected(inject, aPod(), { ...options, upstream });
      const restriction = { userIds: ["ada"] };
      const asked = { name: "pod", role: "ROLE_AGENT", restriction };
      const { key } = await hub.call("AccessService/CreateApiKey", asked);
      writeFileSync(join(folder, "token"), String(key), { mode: 0o600 });
      writeFileSync(join(folder, "policy.yaml"), metadata.annotations?.["nexusd.dev/policy"] ?? "");
      const [sidecar] = spec.initContainers ?? [];
      const [agent] = spec.containers;
      if (!sidecar || !agent) throw new Error("no sidecar");
      const port = await freePort();
      await started(program, variablesOf(sidecar, folder, port));
      const cli = new DaemonProcess(variablesOf(agent, folder, port), ["token", "acme/ada"], [], program);
      onTestFinished(async () => void (await cli.kill("SIGKILL")));
      expect([await cli.exited, cli.output]).toEqual([0, expect.stringMatching(/^frozen-access-\d+-\d+\n$/)]);
      return cli.output.trim();
    }

    it("that this version runs beside its hubs", async () => {
      await started(programOf(root), hub.settings);
      await token((await injectors()).theirs, programOf(root));
    });

    it("that its own version runs beside hubs of this one", async () => {
      await started(programOf(root), hub.settings);
      await token((await injectors()).theirs, version.program());
    });

    it("beside its hubs when it is of this version already", async () => {
      await started(version.program(), hub.settings);
      await token((await injectors()).ours, programOf(root));
    });
  });
});
