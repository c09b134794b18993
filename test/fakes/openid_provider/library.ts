/// <reference path="../oidc-provider.d.ts" />

let library: Promise<typeof import("oidc-provider")> | undefined;

/** On import the library warns on the console of a Node older than its own floor; everything else passes. */
export function loadLibrary(): Promise<typeof import("oidc-provider")> {
  library ??= (async () => {
    const { warn } = console;
    console.warn = (...values: unknown[]) => {
      if (!String(values[0]).includes("oidc-provider WARNING: Unsupported runtime")) warn(...values);
    };
    try {
      return await import("oidc-provider");
    } finally {
      console.warn = warn;
    }
  })();
  return library;
}
