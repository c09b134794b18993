import type { Pod, Running } from "./pod.js";

/** Waits for the startup probe of nexusd. @throws Error when it does not pass in the time that the kubelet gives it */
export async function untilStarted(pod: Pod, running: Running): Promise<void> {
  const { startupProbe } = pod.nexusd;
  if (!startupProbe) throw new Error("there is no startup probe");
  const deadline = performance.now() + startupProbe.periodSeconds * startupProbe.failureThreshold * 1_000;
  while ((await pod.probe(pod.nexusd, startupProbe)) !== 200) {
    const code = await Promise.race([running.exited, Promise.resolve(undefined)]);
    if (code !== undefined || performance.now() > deadline)
      throw new Error(`nexusd did not start (${code}): ${running.output}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Where nexusd listens when several pods stand on one loopback: each has an address of it, and another one for its own. */
export function placesOf({ nexusd, address }: Pod): Record<string, string> {
  const own = address.replace("127.0.0.", "127.0.1.");
  return Object.fromEntries(
    (nexusd.env ?? []).flatMap(({ name, value = "" }) =>
      name.endsWith("_LISTEN")
        ? [[name, value.replace(/^127\.0\.0\.1:/, `${own}:`).replace("0.0.0.0:", `${address}:`)]]
        : [],
    ),
  );
}
