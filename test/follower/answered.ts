import { appendFileSync } from "node:fs";

/** Where a run notes which RPCs its followers answered. */
const file = process.env["NEXUS_TEST_ANSWERED"];

/** Notes what a follower has answered without an error, by its own count. @param opsUrl of its operations listener */
export async function recordAnswered(opsUrl: string): Promise<void> {
  if (file === undefined) return;
  const answer = await fetch(`${opsUrl}/metrics`).catch(() => undefined);
  const lines = (await answer?.text())?.split("\n") ?? [];
  const answered = lines.flatMap((line) => {
    const [, method] = /^nexus_rpc_requests_total\{method="([^"]+)",code="ok"/.exec(line) ?? [];
    return method === undefined ? [] : [method];
  });
  if (answered.length > 0) appendFileSync(file, `${answered.join("\n")}\n`);
}
