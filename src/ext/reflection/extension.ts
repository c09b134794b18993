import type { Extension } from "../../core/registry.js";

/** gRPC server reflection, v1 and v1alpha, at every listener of calls. */
export const reflection: Extension = {
  name: "reflection",
  open: async (_core, registry) => {
    const { Reflection } = await import("./reflection.js");
    registry.openService((services) => new Reflection(services));
  },
};
