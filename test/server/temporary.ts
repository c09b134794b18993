import { onTestFinished } from "vitest";

/** Closes at once after the test, whatever the test did. */
export async function opened<T extends { open(): Promise<void>; close(force: AbortSignal): Promise<void> }>(
  listener: T,
): Promise<T> {
  await listener.open();
  onTestFinished(() => listener.close(AbortSignal.abort()));
  return listener;
}

export const loopback = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;

/** The port that a listener got. */
export function portOf(listener: { readonly addresses: readonly { kind: string }[] }, index = 0): number {
  const address = listener.addresses[index] as { kind: string; port?: number } | undefined;
  if (address?.port === undefined) throw new Error("the listener has no port");
  return address.port;
}
