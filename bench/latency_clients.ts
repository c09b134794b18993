import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { answerOf } from "./children.js";

const run = promisify(execFile);

/** A client in a process of its own. */
export interface LatencyClient {
  readonly name: string;
  /** @param args socket, calls at once, calls, request in base64. @returns microseconds of each call */
  measure(args: readonly string[]): Promise<number[]>;
}

const grpcJs: LatencyClient = {
  name: "grpc-js",
  measure: (args) => answerOf<number[]>("latency_client.ts", args),
};

/** The clients that can be had here; what is missing is named on standard error. A quick run does not wait for a compiler. */
export async function latencyClients({ quick }: { readonly quick: boolean }): Promise<{
  readonly clients: readonly LatencyClient[];
  end(): void;
}> {
  if (quick) return { clients: [grpcJs], end: () => undefined };
  const folder = mkdtempSync(join(tmpdir(), "nexus-bench-"));
  const program = join(folder, "latency_go");
  const end = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    const cwd = join(import.meta.dirname, "latency_go");
    await run("go", ["build", "-mod=readonly", "-buildvcs=false", "-o", program, "."], { cwd });
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    const why = isMissing ? "go is missing (apt-get install golang-go)" : (error as Error).message;
    console.error(`bench: skipped: GetToken, grpc-go: latency: ${why}`);
    return { clients: [grpcJs], end };
  }
  const grpcGo: LatencyClient = {
    name: "grpc-go",
    measure: async (args) => {
      const { stdout } = await run(program, [...args], { maxBuffer: 16 * 1_024 * 1_024 });
      return JSON.parse(stdout) as number[];
    },
  };
  return { clients: [grpcJs, grpcGo], end };
}
