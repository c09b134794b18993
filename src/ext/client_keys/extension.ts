import type { Extension } from "../../core/registry.js";
import { clientKeysCommand } from "./client_keys_command.js";

/** The list and the rotation of the keys by which the daemon proves at providers who it is, and `nexusd client-keys`. */
export const clientKeys: Extension = {
  name: "client_keys",
  commands: [
    {
      group: "Operate the daemon",
      name: "client-keys",
      summary: "list and rotate the keys of nexusd as a client",
      examples: { list: "", rotate: "--type RSA" },
      make: clientKeysCommand,
    },
  ],
  open: async ({ config, endpoint }, registry) => {
    const { clientKeyService } = await import("./client_key_service.js");
    registry.rpc(clientKeyService(endpoint.clientKeys, config.publicUrl));
  },
};
