/** What REST routes get from the daemon that few tests look at. */
export const restDefaults = {
  nowMs: () => 1_700_000_000_000,
  metrics: async () => ({ contentType: "text/plain", body: "" }),
};
