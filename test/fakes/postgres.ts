import { type ChildProcess, execFile, execFileSync, spawn, spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { freePort } from "../free_port.js";
import { postgresPrograms } from "../needs.js";
import { processes } from "../processes.js";
import { DatabaseServer } from "./database_server.js";

/** One that was killed reads its log and flushes its whole folder first, on a disk that others write to. */
const maxStartMs = 60_000;

export interface PostgresOptions {
  /** Lines of postgresql.conf. */
  readonly settings?: readonly string[];
  /** Certificate and key in PEM: it listens on 127.0.0.1 too, with TLS and a password. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** Where its folder is made; the temporary folder by default. */
  readonly parent?: string;
}

/** Refuses to run as root: then it is another user's. */
export function serverUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string, name: string) =>
    spawnSync("id", [flag, name], { encoding: "utf8" }).stdout.trim();
  const name = id("-u", "postgres") === "" ? "nobody" : "postgres";
  return { uid: Number(id("-u", name)), gid: Number(id("-g", name)) };
}

/** A server of its own in a temporary folder, behind a Unix socket, with the role and database `nexus`. Its disk is flushed as by default. */
export class Postgres extends DatabaseServer {
  #server: ChildProcess | undefined;
  #isStopping = false;

  static async start(options: PostgresOptions = {}): Promise<Postgres> {
    const server = await Postgres.#prepared(options.tls ? await freePort() : undefined, options.parent);
    await server.#run("initdb", [
      "-D",
      server.#data,
      "-U",
      "postgres",
      "-A",
      "trust",
      "-N",
      "--encoding=UTF8",
      "--locale=C",
    ]);
    server.#configure(options);
    await server.start();
    for (const text of ["CREATE ROLE nexus LOGIN PASSWORD 'nexus'", "CREATE DATABASE nexus OWNER nexus"]) {
      await server.query(text, "postgres");
    }
    return server;
  }

  /** A standby that streams from this server. @param options `synchronous`: what it waits for itself once it is promoted */
  async standby(options: { readonly name?: string; readonly synchronous?: string } = {}): Promise<Postgres> {
    const standby = await Postgres.#prepared();
    await standby.#run("pg_basebackup", [
      "-h",
      this.folder,
      "-p",
      String(this.port),
      "-U",
      "postgres",
      "-D",
      standby.#data,
      "-R",
      "-X",
      "stream",
      "-N",
      "-c",
      "fast",
    ]);
    const connection = `host=${this.folder} port=${this.port} user=postgres application_name=${options.name ?? "standby"}`;
    standby.#configure({
      settings: [
        `primary_conninfo = '${connection}'`,
        `synchronous_standby_names = '${options.synchronous ?? ""}'`,
      ],
    });
    await standby.start();
    return standby;
  }

  /** Waits until it takes connections. */
  async start(): Promise<void> {
    this.#isStopping = false;
    for (let attempt = 0; ; attempt++) {
      const server = this.#spawn();
      this.#server = server;
      if (await this.#answers(server)) return;
      // What was killed may have left processes that hold its memory for a moment.
      if (attempt === 20 || server.exitCode === null)
        throw new Error(`PostgreSQL does not start: ${this.#log()}`);
      await sleep(200);
    }
  }

  /** As when the machine loses its power, but for the disk's cache. */
  kill(): void {
    const pid = this.#server?.pid;
    if (pid === undefined) return;
    const children = processes().filter(({ parent }) => parent === pid);
    for (const each of [pid, ...children.map((child) => child.pid)]) signal(each, "SIGKILL");
    this.#server = undefined;
  }

  /** Keeps its data as it is, while it does not run. @returns for `restore` */
  saved(): string {
    const folder = `${this.#data}-saved`;
    // With its owner.
    execFileSync("cp", ["-a", this.#data, folder]);
    return folder;
  }

  /** Loses what came after `saved()`, while it does not run. */
  restore(saved: string): void {
    rmSync(this.#data, { recursive: true, force: true, maxRetries: 10 });
    renameSync(saved, this.#data);
  }

  /** SIGSTOP and SIGCONT of all its processes: a link that is there and never answers. */
  signalAll(name: "SIGSTOP" | "SIGCONT"): void {
    const pid = this.#server?.pid ?? 0;
    for (const each of [pid, ...processes().flatMap((child) => (child.parent === pid ? child.pid : []))])
      signal(each, name);
  }

  async promote(): Promise<void> {
    await this.query("SELECT pg_promote(true, 30)", "postgres");
  }

  /** How passwords are asked for over TLS. */
  async acceptPasswords(method: "md5" | "scram-sha-256"): Promise<void> {
    this.#writeAccess(method);
    await this.query("SELECT pg_reload_conf()", "postgres");
  }

  override async close(): Promise<void> {
    this.#isStopping = true;
    const server = this.#server;
    if (server?.pid !== undefined && server.exitCode === null) {
      const ended = new Promise((resolve) => server.once("exit", resolve));
      this.kill();
      await ended;
    }
    await this.#childless();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10 });
  }

  static async #prepared(port = 5432, parent = tmpdir()): Promise<Postgres> {
    const folder = mkdtempSync(join(parent, "nexus-pg-"));
    const user = serverUser();
    if (user) chownSync(folder, user.uid, user.gid);
    return new Postgres(folder, port);
  }

  get #data(): string {
    return join(this.folder, "data");
  }

  #configure({ settings = [], tls }: PostgresOptions): void {
    const lines = [
      `unix_socket_directories = '${this.folder}'`,
      `listen_addresses = '${tls ? "127.0.0.1" : ""}'`,
      `port = ${this.port}`,
      "shared_buffers = 64MB",
      "max_connections = 100",
      "max_wal_size = 1GB",
      "log_min_messages = warning",
      ...settings,
    ];
    if (tls) {
      lines.push("ssl = on");
      this.#write("server.crt", tls.cert);
      this.#write("server.key", tls.key);
      this.#writeAccess("scram-sha-256");
    }
    this.#write("postgresql.auto.conf", `${lines.join("\n")}\n`);
  }

  #writeAccess(method: string): void {
    this.#write("pg_hba.conf", `local all,replication all trust\nhostssl all all 127.0.0.1/32 ${method}\n`);
  }

  #write(name: string, text: string): void {
    const path = join(this.#data, name);
    writeFileSync(path, text, { mode: 0o600 });
    chmodSync(path, 0o600);
    const user = serverUser();
    if (user) chownSync(path, user.uid, user.gid);
  }

  /** What else runs in this process, as the provider of a storm, goes on meanwhile. */
  async #run(program: string, args: readonly string[]): Promise<void> {
    await promisify(execFile)(this.#program(program), args, { ...serverUser(), cwd: this.folder });
  }

  #program(name: string): string {
    const programs = postgresPrograms();
    if (programs === undefined) throw new Error("this machine lacks PostgreSQL (apt-get install postgresql)");
    return join(programs, name);
  }

  #spawn(): ChildProcess {
    const options = { ...serverUser(), cwd: this.folder, stdio: "ignore" } as const;
    return spawn(
      this.#program("postgres"),
      ["-D", this.#data, "-c", "logging_collector=on", "-c", "log_directory=log"],
      options,
    );
  }

  async #answers(server: ChildProcess): Promise<boolean> {
    const endsMs = Date.now() + maxStartMs;
    while (Date.now() < endsMs && server.exitCode === null && !this.#isStopping) {
      try {
        await this.query("SELECT 1", "postgres");
        return true;
      } catch {
        await sleep(25);
      }
    }
    return false;
  }

  #log(): string {
    const folder = join(this.#data, "log");
    if (!existsSync(folder)) return "it left no log";
    return readdirSync(folder)
      .map((name) => readFileSync(join(folder, name), "utf8").slice(-1_000))
      .join("\n");
  }

  /** Its processes work in the folder of its data. */
  async #childless(): Promise<void> {
    for (let tries = 0; tries < 250; tries++) {
      if (!processes().some(({ pid }) => workingFolderOf(pid)?.startsWith(this.folder))) return;
      await sleep(20);
    }
  }
}

function workingFolderOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/cwd`);
  } catch {
    return undefined;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended meanwhile.
  }
}
