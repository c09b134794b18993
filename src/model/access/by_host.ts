/** What is known of APIs, by their hosts: canonical names, and `*.example.com` for every name below. */
export class ByHost<Known> {
  readonly #exact = new Map<string, Known>();
  readonly #below: (readonly [suffix: string, known: Known])[] = [];

  constructor(entries: Iterable<readonly [hosts: readonly string[], known: Known]>) {
    for (const [hosts, known] of entries)
      for (const host of hosts)
        if (host.startsWith("*")) this.#below.push([host.slice(1), known]);
        else this.#exact.set(host, known);
  }

  /** @param host with or without a port */
  at(host: string): Known | undefined {
    const name = host.replace(/:\d+$/, "");
    return this.#exact.get(name) ?? this.#below.find(([suffix]) => name.endsWith(suffix))?.[1];
  }
}

/** A `*` is a part of one segment, and `**` is all that follows. */
export function pathPattern(path: string): RegExp {
  const parts = path.split(/(\*\*?)/).map((part) => {
    if (part === "**") return ".*";
    return part === "*" ? "[^/]+" : part.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  });
  return new RegExp(`^${parts.join("")}$`, "s");
}
