import type { Extension } from "../../core/registry.js";
import { watchCommand } from "./watch.js";

/** `nexusd watch`: the connections as they change, for a person at a terminal or for a pipe. */
export const watch: Extension = {
  name: "watch",
  commands: [
    {
      group: "Look after connections",
      name: "watch",
      summary: "follow connections as they change",
      examples: "--user ada --json",
      make: watchCommand,
    },
  ],
};
