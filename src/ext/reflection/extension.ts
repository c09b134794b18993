import type { Extension } from "../../cli/kit.js";

/** gRPC server reflection, v1 and v1alpha, at every listener of calls. */
export const reflection: Extension = {
  name: "reflection",
  open: async () => {
    const { Reflection } = await import("./reflection.js");
    return { openServices: (services) => new Reflection(services) };
  },
};
