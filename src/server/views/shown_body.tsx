import { formatBytes } from "../../model/quantity_text.js";

/** Text of an agent, from left to right whatever its letters. Those that are not ASCII are marked: another script has letters that look the same. */
export function AgentText({ text }: { readonly text: string }) {
  const parts = text
    .split(/([^\p{ASCII}]+)/u)
    .map((part, index) => (index % 2 === 1 ? <mark>{part}</mark> : part));
  return <pre class="request"><bdo dir="ltr">{parts}</bdo></pre>;
}

/** The body of a request that a person decides, as `nexus.v1.HeldRequest` has it. */
interface ShownBody {
  readonly bodySize: bigint;
  readonly bodySha256: Uint8Array;
  readonly bodyText: string;
}

export function Body(props: { readonly held: ShownBody; readonly showsDigest?: boolean }) {
  const { held: { bodySize, bodySha256, bodyText }, showsDigest = false } = props;
  if (bodySize === 0n) return <p class="soft">It has no body.</p>;
  const text = indented(bodyText);
  return (
    <>
      {bodyText === "" ? (
        <p class="problem">It is not text, or is too long: only its size and digest are shown.</p>
      ) : (
        <AgentText text={text} />
      )}
      <p class="soft">
        Body of {formatBytes(Number(bodySize))}
        {showsDigest && <>, SHA-256 <code>{hex(bodySha256)}</code></>}
        {/[^\p{ASCII}]/u.test(text) && ". Highlighted: not ASCII"}
      </p>
    </>
  );
}

/** JSON with a line for each member. Only the blanks between its parts change: nothing that a request says is left out or put in another order. */
export function indented(text: string): string {
  if (!isJson(text)) return text;
  let depth = 0;
  return text.replaceAll(/"(?:[^"\\]|\\.)*"|\s+|[{}[\],:]/g, (part) => {
    if (part.trim() === "") return "";
    if (part === ":") return ": ";
    if (part === ",") return `,\n${"  ".repeat(depth)}`;
    if (part === "{" || part === "[") return `${part}\n${"  ".repeat(++depth)}`;
    return part === "}" || part === "]" ? `\n${"  ".repeat(--depth)}${part}` : part;
  });
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return /^\s*[{[]/.test(text);
  } catch {
    return false;
  }
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}
