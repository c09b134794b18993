import { execFileSync } from "node:child_process";
import { randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Postgres } from "../test/fakes/postgres.js";
import { pathOf, postgresPrograms } from "../test/needs.js";
import { median } from "./figure.js";

/** @throws Error when PostgreSQL or its pgbench is missing */
export function requirePostgres(): void {
  if (postgresPrograms() === undefined || program() === undefined) {
    throw new Error("the lines of a fleet need PostgreSQL with pgbench (apt-get install postgresql)");
  }
}

export function pgbench(postgres: Postgres, args: readonly string[]): void {
  const place = ["-h", postgres.folder, "-p", String(postgres.port), "-U", "postgres", "postgres"];
  execFileSync(program() ?? "pgbench", [...args, ...place], { cwd: postgres.folder, stdio: "pipe" });
}

/** The median of the transactions of `pgbench -N -c 1`, in ms. */
export function transactionMs(postgres: Postgres, seconds: number): number {
  const prefix = `pgbench-${randomUUID()}`;
  const log = `--log-prefix=${join(postgres.folder, prefix)}`;
  pgbench(postgres, ["-N", "-c", "1", "-T", String(seconds), "-l", log]);
  const files = readdirSync(postgres.folder).filter((name) => name.startsWith(prefix));
  const lines = files.flatMap((name) => readFileSync(join(postgres.folder, name), "utf8").trim().split("\n"));
  return median(lines.map((line) => Number(line.split(" ")[2]) / 1_000));
}

function program(): string | undefined {
  return [join(postgresPrograms() ?? "", "pgbench"), pathOf("pgbench")].find((path) => path && canRun(path));
}

function canRun(path: string): boolean {
  try {
    execFileSync(path, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
