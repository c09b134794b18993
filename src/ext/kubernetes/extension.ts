import { Command, InvalidArgumentError } from "commander";
import { addNotes } from "../../cli/shell/help.js";
import type { Extension, Shell } from "../../cli/shell/shell.js";
import { type ListenAddress, parseListenAddress } from "../../model/listen_address.js";
import type { InjectorFlags } from "./injector/run_injector.js";

/** A Kubernetes cluster: the webhook that puts nexusd into pods, and objects that say what the daemon holds. */
export const kubernetes: Extension = {
  name: "kubernetes",
  commands: [
    {
      group: "Operate the daemon",
      name: "injector",
      summary: "serve the webhook that puts nexusd into pods of Kubernetes",
      examples: "--image registry.example.com/nexusd:0.1.0 --upstream https://nexusd.agents.svc",
      make: injectorCommand,
    },
  ],
  open: async (core) => {
    const { kubernetes: settings } = core.options.config;
    if (settings === undefined) return undefined;
    const { Resources } = await import("./resources/open_resources.js");
    return new Resources(core, settings);
  },
};

function injectorCommand(shell: Shell): Command {
  const command = new Command("injector")
    .description("serve the webhook that puts nexusd into the pods of a Kubernetes cluster")
    .requiredOption("--image <image>", "the image of nexusd that pods get")
    .option(
      "--upstream <url>",
      "the hubs of spokes, as https://nexusd.agents.svc; without it pods have sidecars",
    )
    .option("--upstream-ca-file <file>", "PEM: the CA of the hubs' certificate; read again for each pod")
    .option("--audience <text>", "that the hubs take tokens of service accounts for", "nexusd")
    .option(
      "--listen <address>",
      "where the API server calls: host:port",
      parseListen,
      parseListen("0.0.0.0:8443"),
    )
    .option("--service <name>", "the Service that leads the API server here", "nexusd-injector")
    .option("--secret <name>", "the Secret that holds the certificate of the webhook", "nexusd-injector")
    .option("--webhook <name>", "the MutatingWebhookConfiguration that trusts it", "nexusd-injector");
  addNotes(
    command,
    "It runs in a pod of the cluster, by the service account of the Helm chart (docs/kubernetes.md). It makes its certificate, renews it a month before it expires, and registers it with the API server.",
  );
  return command.action(async (flags: InjectorFlags) => {
    const { runInjector } = await import("./injector/run_injector.js");
    await runInjector(shell, flags);
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
