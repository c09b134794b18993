import { Command, InvalidArgumentError, Option } from "commander";
import { addNotes, type Shell } from "../../cli/kit.js";
import type { Extension } from "../../core/registry.js";
import { type ListenAddress, parseListenAddress } from "../../model/model.js";
import type { InjectorFlags } from "./injector/run_injector.js";
import { kubernetesSettings } from "./kubernetes_settings.js";
import type { ReleaseFlags } from "./resources/release_resources.js";

/** A Kubernetes cluster: the webhook that puts nexusd into pods, and objects that say what the daemon holds. */
export const kubernetes: Extension = {
  name: "kubernetes",
  settings: kubernetesSettings,
  commands: [
    {
      group: "Operate the daemon",
      name: "injector",
      summary: "serve the webhook that adds nexusd to Kubernetes pods",
      examples: "--image registry.example.com/nexusd:0.1.0 --upstream https://nexusd.agents.svc",
      make: injectorCommand,
    },
  ],
  // For the Job that the chart runs after an uninstallation.
  hiddenCommands: [releaseCommand],
  open: async (core, registry) => {
    const settings = kubernetesSettings.of(core.config);
    if (settings === undefined) return;
    const { CustomResources } = await import("./resources/open_resources.js");
    const resources = new CustomResources(core, settings);
    registry.route((services) => resources.routes(services));
    registry.part(resources);
  },
};

function injectorCommand(shell: Shell): Command {
  const command = new Command("injector")
    .description("serve the webhook that adds nexusd to pods of a Kubernetes cluster")
    .requiredOption("--image <image>", "image of nexusd for the pods")
    .option(
      "--upstream <url>",
      "URL of the spokes' hubs, such as https://nexusd.agents.svc; without it, pods get sidecars",
    )
    .option("--upstream-ca-file <file>", "PEM: the CA of the hubs' certificate; read again for each pod")
    .option("--audience <text>", "audience of service account tokens at the hubs", "nexusd")
    .addOption(
      new Option("--listen <address>", "address for the API server: host:port")
        .argParser(parseListen)
        .default(parseListen("0.0.0.0:8443"), "0.0.0.0:8443"),
    )
    .option("--service <name>", "Service of this webhook", "nexusd-injector")
    .option("--secret <name>", "Secret with the webhook's certificate", "nexusd-injector")
    .option("--webhook <name>", "MutatingWebhookConfiguration to update", "nexusd-injector");
  addNotes(
    command,
    "It runs in a pod of the cluster, with the service account of the Helm chart (docs/kubernetes.md). It makes its certificate, renews it a month before it expires, and registers it with the API server.",
  );
  return command.action(async (flags: InjectorFlags) => {
    const { runInjector } = await import("./injector/run_injector.js");
    await runInjector(shell, flags);
  });
}

function releaseCommand(shell: Shell): Command {
  return new Command("release-resources")
    .description("take nexusd's finalizers off its custom resources, once nexusd is gone from the cluster")
    .requiredOption("--namespaces <names>", "namespaces of its Connections, separated by commas", (text) =>
      text.split(",").filter((name) => name !== ""),
    )
    .option("--credentials <folder>", "folder with the service account (default: that of the pod)")
    .action(async (flags: ReleaseFlags) => {
      const { releaseResources } = await import("./resources/release_resources.js");
      await releaseResources(shell, flags);
    });
}

function parseListen(text: string): ListenAddress & { readonly kind: "tcp" } {
  try {
    const address = parseListenAddress(text);
    if (address.kind === "tcp") return address;
  } catch {
    // Reported below.
  }
  throw new InvalidArgumentError("It must be host:port.");
}
