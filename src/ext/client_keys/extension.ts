import type { Extension } from "../../cli/kit.js";
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
  open: async ({ domain, options }) => {
    const { clientKeyService } = await import("./client_key_service.js");
    return { services: [clientKeyService(domain.clientKeys, options.config.publicUrl)] };
  },
};
