/** What became of a provider or a connection. */
export interface ImportOutcome {
  readonly kind: "provider" | "connection";
  /** Name of the provider, or id of the connection. */
  readonly name: string;
  /** Provider and user of a connection. */
  readonly of?: { readonly provider: string; readonly user: string };
  readonly result: "created" | "imported" | "present" | "skipped" | "failed";
  /** Why, or with what. */
  readonly message: string;
}
