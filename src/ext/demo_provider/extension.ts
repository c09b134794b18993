import type { Extension } from "../../core/registry.js";
import { demoProviderCommand } from "./demo_provider_command.js";

/** `nexusd demo-provider`: a provider on this machine, so that nexusd can be tried without an account anywhere. */
export const demoProvider: Extension = {
  name: "demo_provider",
  commands: [
    {
      group: "Get started",
      name: "demo-provider",
      summary: "run a provider here, to try nexusd without an account",
      examples: "--port 9099",
      make: demoProviderCommand,
    },
  ],
};
