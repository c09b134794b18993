// Pages of the site that are made from the source: the command line from its table, and the API from the comments of the protos.
import { execFileSync } from "node:child_process";
import { commands } from "../../src/cli/commands.js";
import { run } from "../../src/cli/program.js";
import { extensions } from "../../src/ext/extensions.js";
import { fakeShell } from "../../test/cli/fake_shell.js";

/** Every command, with its help as a terminal prints it. */
export async function commandPage(): Promise<string> {
  const rows = [...commands, ...extensions.flatMap((extension) => extension.commands ?? [])];
  const sections: string[] = [];
  for (const group of new Set(rows.map((row) => row.group))) {
    sections.push(`## ${group}`);
    for (const { name, make } of rows.filter((row) => row.group === group)) {
      const leaves = make(fakeShell()).commands.map((leaf) => `${name} ${leaf.name()}`);
      for (const path of [name, ...leaves]) {
        const shell = fakeShell();
        await run([...path.split(" "), "--help"], shell);
        sections.push(`### nexusd ${path}`, `\`\`\`text\n${shell.out().trim()}\n\`\`\``);
      }
    }
  }
  return `# Command line\n\nGenerated from the table of commands.\n\n${sections.join("\n\n")}\n`;
}

interface Field {
  readonly name: string;
  readonly label: string;
  readonly type: string;
  readonly typeName?: string;
}
interface Message {
  readonly name: string;
  readonly field?: readonly Field[];
  readonly nestedType?: readonly (Message & { readonly options?: { readonly mapEntry?: boolean } })[];
  readonly enumType?: readonly Enum[];
}
interface Enum {
  readonly name: string;
  readonly value: readonly { readonly name: string }[];
}
interface ProtoFile {
  readonly name: string;
  readonly messageType?: readonly Message[];
  readonly enumType?: readonly Enum[];
  readonly service?: readonly { readonly name: string; readonly method: readonly Method[] }[];
  readonly sourceCodeInfo: {
    readonly location: readonly { readonly path?: readonly number[]; readonly leadingComments?: string }[];
  };
}
interface Method {
  readonly name: string;
  readonly inputType: string;
  readonly outputType: string;
  readonly serverStreaming?: boolean;
}

/** Far above what the contract and its imports take. */
const maxImageBytes = 64 * 1024 * 1024;

/** Numbers of the members of FileDescriptorProto and DescriptorProto: the parts of a comment's path. */
const part = {
  messageType: 4,
  enumType: 5,
  service: 6,
  method: 2,
  field: 2,
  nested: 3,
  nestedEnum: 4,
  value: 2,
};

/** One page for each proto file, by its name. @param root of the repository */
export function apiPages(root: string): Map<string, string> {
  const build = ["build", "--path", "proto/nexus/v1", "--output", "-#format=json"];
  const image = execFileSync("buf", build, { cwd: root, maxBuffer: maxImageBytes, encoding: "utf8" });
  const { file: files } = JSON.parse(image) as { file: readonly ProtoFile[] };
  const own = files.filter(({ name }) => name.startsWith("nexus/v1/"));
  return new Map(own.map((file) => [file.name.slice("nexus/v1/".length, -".proto".length), apiPage(file)]));
}

function apiPage(file: ProtoFile): string {
  const comments = new Map(
    file.sourceCodeInfo.location.map(({ path = [], leadingComments = "" }) => [
      path.join("."),
      leadingComments,
    ]),
  );
  const commentAt = (...path: number[]): string =>
    asMarkdown((comments.get(path.join(".")) ?? "").replaceAll(/^ /gm, "").trim());
  const inCell = (text: string): string =>
    text
      .replaceAll(/\n\n+/g, "<br>")
      .replaceAll(/\n(- )?/g, (_all, item) => (item ? "<br>• " : " "))
      .replaceAll("|", "\\|");
  const lines = [
    `# ${file.name.slice("nexus/v1/".length)}`,
    `Package \`nexus.v1\`. Generated from the comments of \`proto/${file.name}\`.`,
  ];

  const addEnum = ({ name, value }: Enum, path: readonly number[], prefix: string): void => {
    const rows = value.map(
      (each, index) => `| \`${each.name}\` | ${inCell(commentAt(...path, part.value, index))} |`,
    );
    lines.push(
      `## ${prefix}${name}`,
      commentAt(...path),
      ["| value | meaning |", "| --- | --- |", ...rows].join("\n"),
    );
  };
  const addMessage = (message: Message, path: readonly number[], prefix: string): void => {
    const title = `${prefix}${message.name}`;
    const maps = new Map(
      message.nestedType
        ?.filter(({ options }) => options?.mapEntry)
        .map((entry) => [entry.name, entry.field ?? []]),
    );
    const rows = (message.field ?? []).map((field, index) => {
      return `| \`${field.name}\` | ${typeOf(field, maps)} | ${inCell(commentAt(...path, part.field, index))} |`;
    });
    lines.push(`## ${title}`, commentAt(...path));
    if (rows.length > 0)
      lines.push(["| field | type | meaning |", "| --- | --- | --- |", ...rows].join("\n"));
    for (const [index, nested] of (message.nestedType ?? []).entries())
      if (!nested.options?.mapEntry) addMessage(nested, [...path, part.nested, index], `${title}.`);
    for (const [index, nested] of (message.enumType ?? []).entries())
      addEnum(nested, [...path, part.nestedEnum, index], `${title}.`);
  };

  for (const [index, { name, method: methods }] of (file.service ?? []).entries()) {
    lines.push(`## ${name}`, commentAt(part.service, index));
    for (const [number, { name: rpc, inputType, outputType, serverStreaming }] of methods.entries()) {
      const answer = `${serverStreaming ? "stream " : ""}${shortName(outputType)}`;
      lines.push(`### ${rpc}`, `\`${rpc}(${shortName(inputType)}) returns (${answer})\``);
      lines.push(commentAt(part.service, index, part.method, number));
    }
  }
  for (const [index, message] of (file.messageType ?? []).entries())
    addMessage(message, [part.messageType, index], "");
  for (const [index, each] of (file.enumType ?? []).entries()) addEnum(each, [part.enumType, index], "");
  return `${lines.filter((line) => line !== "").join("\n\n")}\n`;
}

function typeOf({ label, type, typeName }: Field, maps: ReadonlyMap<string, readonly Field[]>): string {
  const simple = typeName === undefined ? type.slice("TYPE_".length).toLowerCase() : shortName(typeName);
  const [key, value] = maps.get(simple.split(".").at(-1) ?? "") ?? [];
  if (key && value) return `map of ${typeOf(key, maps)} to ${typeOf(value, maps)}`;
  return label === "LABEL_REPEATED" ? `list of ${simple}` : simple;
}

function shortName(name: string): string {
  return name.replace(/^\.nexus\.v1\./, "").replace(/^\./, "");
}

/** Outside of code, what Markdown or Vue would take for a tag. */
function asMarkdown(text: string): string {
  return text
    .split(/(`[^`]*`)/)
    .map((piece) =>
      piece.startsWith("`") ? piece : piece.replaceAll("<", "&lt;").replaceAll("{{", "&#123;{"),
    )
    .join("");
}
