import type { ConnectionServiceRequestConnectionResponse as RequestAnswer } from "../../gen/nexus/v1/connection_pb.js";
import type { Shell } from "../shell/shell.js";
import { printable } from "../shell/text.js";

/** A consent that goes well is mostly given by then. A provider that knows no such redirect URI says so to the person alone. */
const timeoutMs = 60_000;

/** What to do about a provider that complains about the redirect URI. */
export function redirectHint({ redirectUri }: Pick<RequestAnswer, "redirectUri">): string {
  return `If the provider complains about the redirect URI, register exactly this one there, then open the URL again:\n\n  ${printable(redirectUri)}\n`;
}

/** Waits for an answer, and gives the hint when none came for a while. */
export async function hintedWait<Outcome>(
  { clock, stdout }: Pick<Shell, "clock" | "stdout">,
  answer: Pick<RequestAnswer, "redirectUri">,
  wait: () => Promise<Outcome>,
): Promise<Outcome> {
  if (answer.redirectUri === "") return await wait();
  const timer = clock.setTimer(timeoutMs, () =>
    stdout.write(`\nNo answer came yet. ${redirectHint(answer)}\n`),
  );
  try {
    return await wait();
  } finally {
    timer.cancel();
  }
}
