import type { Extension } from "../../core/registry.js";
import { completeCommand, completionCommand } from "./completion.js";

/** What a shell completes after `nexusd`. */
export const completion: Extension = {
  name: "completion",
  commands: [
    {
      group: "Get started",
      name: "completion",
      summary: "complete commands, flags, and names in your shell",
      examples: "bash",
      make: completionCommand,
    },
  ],
  hiddenCommands: [completeCommand],
};
