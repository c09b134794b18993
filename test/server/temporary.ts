import { onTestFinished } from "vitest";

/** Closes at once after the test, whatever the test did. */
export async function opened<T extends { open(): Promise<void>; close(force: AbortSignal): Promise<void> }>(
  door: T,
): Promise<T> {
  await door.open();
  onTestFinished(() => door.close(AbortSignal.abort()));
  return door;
}

export const loopback = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;

/** The port that a door got. */
export function portOf(door: { readonly addresses: readonly { kind: string }[] }, index = 0): number {
  const address = door.addresses[index] as { kind: string; port?: number } | undefined;
  if (address?.port === undefined) throw new Error("the door has no port");
  return address.port;
}
