import { type Command, Help } from "commander";
import type { Output } from "./shell.js";

const widest = 110;
/** A narrower terminal breaks the lines itself. */
const narrowest = 40;

/** How wide `--help` is: as the terminal, within reason; 110 columns where there is none. */
export function helpWidth(columns = widest): number {
  return Math.max(narrowest, Math.min(columns, widest));
}

/** Breaks `text` into lines of at most `width` columns, each after `indent`; its own line breaks stay. */
export function wrap(text: string, width: number, indent = ""): string {
  const lines = new Help().boxWrap(text, Math.max(narrowest, width - indent.length)).split("\n");
  return lines.map((line) => (line === "" ? "" : `${indent}${line}`)).join("\n");
}

/** `text` in lines that a terminal does not break within a word; as it is where there is no terminal. */
export function fitted(text: string, { columns }: Output): string {
  return columns === undefined ? text : wrap(text, helpWidth(columns));
}

/** Paragraphs after the options of `--help`. */
export function addNotes(command: Command, ...notes: readonly string[]): Command {
  return command.addHelpText("after", () => {
    const width = command.configureOutput().getOutHelpWidth?.() ?? widest;
    return notes.map((note) => `\n${wrap(note, width)}`).join("\n");
  });
}

/** Leaves the options of a group out of `--help`. A slip is still compared with them. */
export function leaveOutOfHelp(command: Command, group: string): void {
  const formatHelp: Help["formatHelp"] = (given, helper) => {
    const visibleOptions = (of: Command) =>
      helper.visibleOptions(of).filter(({ helpGroupHeading }) => helpGroupHeading !== group);
    const brief = Object.assign(Object.create(helper) as Help, { visibleOptions });
    return Help.prototype.formatHelp.call(brief, given, brief);
  };
  command.configureHelp({ ...command.configureHelp(), formatHelp });
}
