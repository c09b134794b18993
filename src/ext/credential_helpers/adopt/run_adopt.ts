import {
  allProviders,
  CommandFailure,
  type ConfirmedFlags,
  confirm,
  type DaemonSession,
  formatTable,
  printable,
  screenOf,
  usageFailure,
} from "../../../cli/kit.js";
import { exitCodes } from "../../../core/registry.js";
import { counted } from "../../../model/model.js";
import { digest, type FileOnDisk, KeptCopies, readFileOnDisk, replaceFile } from "./adopted_file.js";
import { type FoundKey, KnownKeys, lineOf, type ReadKeys } from "./found_keys.js";
import { readKeys, usualPlaces } from "./known_files.js";
import { providerNameOf, storedKey } from "./stored_key.js";

export interface AdoptFlags extends ConfirmedFlags {
  readonly dryRun?: boolean;
  readonly undo?: boolean;
  readonly user?: string;
  readonly program: string;
}

interface FileWithKeys {
  readonly file: FileOnDisk;
  readonly read: ReadKeys;
}

/** Shows the keys in files, and moves them into nexusd. @throws CommandFailure before anything is changed, for files that cannot be read */
export async function adopt(
  session: DaemonSession,
  flags: AdoptFlags,
  given: readonly string[],
): Promise<void> {
  const { shell } = session;
  const copies = new KeptCopies(shell.env);
  if (flags.undo) return undo(session, copies, given);
  if (flags.program.trim() === "") throw usageFailure("--program must name a program");
  const found = (await filesWithKeys(session, flags.program, given)).filter(
    ({ read }) => read.keys.length > 0,
  );
  if (found.length === 0) return void shell.stderr.write("no file has a key in plain text\n");
  show(session, flags, found);
  const movable = found.filter(({ read }) => read.keys.some(isMovable));
  if (flags.dryRun || movable.length === 0) return;
  const count = movable.flatMap(({ read }) => read.keys.filter(isMovable)).length;
  await confirm(
    shell,
    `Move ${counted(count, "key")} into nexusd and rewrite ${counted(movable.length, "file")}?`,
    flags.yes,
  );
  const providers = await allProviders(session);
  for (const one of movable) {
    const names = new Map<FoundKey, string>();
    for (const key of one.read.keys.filter(isMovable))
      names.set(key, await storedKey(session, key, flags.user ?? shell.userName(), providers));
    await rewrite(session, flags, copies, one, names);
  }
}

const isMovable = ({ refusal }: FoundKey): boolean => refusal === undefined;

/** Those that were named, or those that are in the usual places. */
async function filesWithKeys(
  { shell }: DaemonSession,
  program: string,
  given: readonly string[],
): Promise<FileWithKeys[]> {
  const known = await KnownKeys.open();
  const found = new Map<string, FileWithKeys>();
  for (const path of given.length > 0 ? given : usualPlaces(shell.env)) {
    try {
      const file = readFileOnDisk(path);
      if (file) found.set(file.path, { file, read: await readKeys(file, known, program) });
      else if (given.length > 0) throw usageFailure(`there is no file ${path}`);
    } catch (error) {
      if (given.length > 0 || !(error instanceof CommandFailure)) throw error;
      shell.stderr.write(`left out: ${printable(error.message)}\n`);
    }
  }
  return [...found.values()];
}

/** Where keys are and what becomes of them, never what they are. */
function show({ shell }: DaemonSession, flags: AdoptFlags, found: readonly FileWithKeys[]): void {
  const rows = found.flatMap(({ file, read }) =>
    read.keys.map((key) => ({
      file: file.path,
      line: lineOf(file.text, key.offset),
      place: key.place,
      name: key.name,
      provider: providerNameOf(key),
      ...(key.refusal !== undefined && { stays: key.refusal }),
    })),
  );
  if (flags.json) {
    for (const row of rows) shell.stdout.write(`${JSON.stringify(row)}\n`);
    return;
  }
  const cells = rows.map((row) => [
    `${row.file}:${row.line}`,
    row.place,
    row.name,
    row.provider,
    row.stays ?? "",
  ]);
  const titles = ["FILE", "PLACE", "NAME", "PROVIDER", "STAYS, BECAUSE IT IS"];
  const width = rows.some(({ stays }) => stays !== undefined) ? 5 : 4;
  shell.stdout.write(
    formatTable(
      titles.slice(0, width),
      cells.map((row) => row.slice(0, width).map(printable)),
      screenOf(shell.env, shell.stdout),
    ),
  );
}

async function rewrite(
  { shell }: DaemonSession,
  flags: AdoptFlags,
  copies: KeptCopies,
  { file, read }: FileWithKeys,
  names: ReadonlyMap<FoundKey, string>,
): Promise<void> {
  const text = read.rewritten(names);
  await refuseHalf(file, text, names, flags.program);
  const copy = copies.keep(file, text);
  try {
    replaceFile(file, text);
  } catch (error) {
    copies.drop({ copy });
    throw error;
  }
  const left = [...names.keys()].some(({ value }) => text.includes(value));
  const lines = [
    `rewrote ${file.path}; as it was: ${copy}`,
    ...read.nextSteps(names).map((step) => `  ${step}`),
    ...(left ? [`  a key that was moved stands at another place of the file, too: remove it there`] : []),
  ];
  const out = flags.json ? shell.stderr : shell.stdout;
  out.write(`${lines.map(printable).join("\n")}\n`);
}

/** Reads what would be written: it must be well-formed, and hold no key that was moved out of its place. */
async function refuseHalf(
  file: FileOnDisk,
  text: string,
  names: ReadonlyMap<FoundKey, string>,
  program: string,
): Promise<void> {
  const again = await readKeys({ ...file, text }, await KnownKeys.open(), program);
  const isLeft = again.keys.some(
    (key) =>
      key.refusal === undefined &&
      [...names.keys()].some(
        ({ name, place, value }) => key.name === name && key.place === place && key.value === value,
      ),
  );
  if (!isLeft && text !== file.text) return;
  throw new CommandFailure(exitCodes.failed, `${file.path} cannot be rewritten: its form is not supported`);
}

/** Puts files back as they were before their keys were moved. The connections stay. */
function undo({ shell }: DaemonSession, copies: KeptCopies, given: readonly string[]): void {
  const paths = given.length > 0 ? given : [...new Set(copies.all().map(({ path }) => path))];
  if (paths.length === 0) return void shell.stderr.write("no file was rewritten\n");
  for (const path of paths) {
    const file = readFileOnDisk(path);
    if (!file) throw usageFailure(`there is no file ${path}`);
    const copy = copies.of(file.path).at(-1);
    if (!copy) throw usageFailure(`${file.path} was not rewritten by nexusd adopt`);
    if (file.text !== copy.content) {
      if (digest(file.text) !== copy.rewritten)
        throw usageFailure(`${file.path} was changed since it was rewritten; as it was then: ${copy.copy}`);
      replaceFile(file, copy.content);
    }
    copies.drop(copy);
    shell.stdout.write(`${printable(`put back ${file.path}`)}\n`);
  }
  shell.stdout.write("the connections stay: nexusd connections lists them\n");
}
