import { type ApiLabels, apiLabels, type RequestLabel, unknownApi } from "./api_labels.js";
import { ByHost, pathPattern } from "./by_host.js";
import { type JudgedLine, readsOnly } from "./reading_requests.js";

export type RequestLabels = ReadonlySet<RequestLabel>;

/**
 * What is known of a request: what it reads, and what it does.
 *
 * @returns undefined where it depends on what is unknown
 */
export function labelsOfRequest(line: JudgedLine): RequestLabels | undefined {
  const { method, host, path, decoded } = line;
  if (method === undefined || host === undefined) return undefined;
  const api = known.at(host) ?? unknown;
  const other = api.others.length === 0 ? undefined : otherOf(api, method, path, decoded);
  if (other === "unclear") return undefined;
  if (other) return other;
  const reads = readsOnly(line);
  if (reads === undefined) return undefined;
  if (reads) return api.reads;
  return method === "DELETE" && api !== unknown ? deleting : api.writes;
}

/** What a line about the path says; undefined if none is about it. */
function otherOf(
  api: CompiledLabels,
  method: string,
  path: string | undefined,
  decoded: string | undefined,
): RequestLabels | "unclear" | undefined {
  if (path === undefined) return "unclear";
  const [said, alike] = [path, decoded ?? path].map(
    (one) =>
      api.others.find(({ methods, paths }) => methods.has(method) && paths.some((of) => of.test(one)))
        ?.labels,
  );
  return said === alike ? said : "unclear";
}

const deleting: RequestLabels = new Set(["deletes"]);

interface CompiledLabels {
  readonly reads: RequestLabels;
  readonly writes: RequestLabels;
  readonly others: readonly {
    readonly methods: ReadonlySet<string>;
    readonly paths: readonly RegExp[];
    readonly labels: RequestLabels;
  }[];
}

function compiled({ reads, writes, others = [] }: Omit<ApiLabels, "hosts">): CompiledLabels {
  return {
    reads: new Set(reads),
    writes: new Set(writes),
    others: others.map((line) => {
      const [, methods = "", paths = "", labels = ""] = /^(\S+) (.+):((?: [a-z]+)*)$/.exec(line) ?? [];
      // HEAD says what GET does.
      const all = methods.split(",").flatMap((one) => (one === "GET" ? ["GET", "HEAD"] : one));
      return {
        methods: new Set(all),
        paths: paths.split(" ").map(pathPattern),
        labels: new Set(labels.split(" ").filter((label) => label !== "") as RequestLabel[]),
      };
    }),
  };
}

const known = new ByHost(apiLabels.map(({ hosts, ...api }) => [hosts, compiled(api)] as const));
const unknown = compiled(unknownApi);
