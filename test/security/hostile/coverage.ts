import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { DescField, DescMessage, DescService } from "@bufbuild/protobuf";
import { schemas } from "../../../src/server/rest/openapi.js";
import { restTable } from "../../../src/server/rest/table.js";
import type { HttpRow, RpcRow } from "./row.js";

export interface MethodUnderTest {
  /** `/nexus.v1.TokenService/GetToken`. */
  readonly path: string;
  readonly input: DescMessage;
  readonly isStream: boolean;
}

const generated = new URL("../../../src/gen/nexus/v1/", import.meta.url);

/** Every RPC of every service of the contract, by `Service/Method`: those that are added later as well. */
export async function methodsOf(): Promise<ReadonlyMap<string, MethodUnderTest>> {
  const methods = new Map<string, MethodUnderTest>();
  for (const file of readdirSync(fileURLToPath(generated)).filter((name) => name.endsWith("_pb.ts"))) {
    const module = (await import(new URL(file, generated).href)) as Readonly<Record<string, unknown>>;
    for (const service of Object.values(module).filter(isService)) {
      for (const method of service.methods) {
        methods.set(`${service.name}/${method.name}`, {
          path: `/${service.typeName}/${method.name}`,
          input: method.input,
          isStream: method.methodKind === "server_streaming",
        });
      }
    }
  }
  return methods;
}

function isService(value: unknown): value is DescService {
  return typeof value === "object" && value !== null && "kind" in value && value.kind === "service";
}

/** A field that holds a value, and the fields that lead to it. */
export interface Leaf {
  readonly path: string;
  readonly fields: readonly DescField[];
}

/** Every field of a message down to values: scalars, maps, and Google's own types. */
export function leavesOf(message: DescMessage, above: readonly DescField[] = []): Leaf[] {
  return message.fields.flatMap((field): Leaf[] => {
    const fields = [...above, field];
    const inner = field.fieldKind === "message" || field.fieldKind === "list" ? field.message : undefined;
    if (inner && !inner.typeName.startsWith("google.protobuf.")) return leavesOf(inner, fields);
    return [{ path: fields.map(({ name }) => name).join("."), fields }];
  });
}

/** `Service/Method field` of what has neither a row nor a reason. An exemption names a field, or `Service/Method` whole. */
export function uncovered(
  methods: ReadonlyMap<string, MethodUnderTest>,
  rows: readonly Pick<RpcRow, "rpc" | "fields">[],
  exemptions: Readonly<Record<string, string>>,
): string[] {
  const covered = new Set(rows.flatMap(({ rpc, fields }) => fields.map((field) => `${rpc} ${field}`)));
  return [...methods].flatMap(([rpc, { input }]) =>
    leavesOf(input)
      .map(({ path }) => `${rpc} ${path}`)
      .filter((place) => !covered.has(place) && !exemptions[place] && !exemptions[rpc]),
  );
}

/** `METHOD /path field` of what of the table of routes has neither a row nor a reason: segments, query, and members of the body. */
export function uncoveredRoutes(
  rows: readonly Pick<HttpRow, "route" | "fields">[],
  exemptions: Readonly<Record<string, string>>,
): string[] {
  const covered = new Set(rows.flatMap(({ route, fields }) => fields.map((field) => `${route} ${field}`)));
  const routes = new Set(rows.map(({ route }) => route));
  return restTable.flatMap((route) => {
    const name = `${route.method} ${route.path}`;
    const segments = [...route.path.matchAll(/\{\w+\}/g)].map(([segment]) => segment);
    const body = route.body ? ["body", ...membersOf(schemas[route.body])] : [];
    const fields = [...segments, ...Object.keys(route.query ?? {}), ...body];
    const places =
      fields.length === 0 && !routes.has(name) ? [name] : fields.map((field) => `${name} ${field}`);
    return places.filter((place) => !covered.has(place) && !exemptions[place] && !exemptions[name]);
  });
}

function membersOf(schema: object, prefix = ""): string[] {
  const { properties = {} } = schema as { properties?: Readonly<Record<string, { $ref?: string }>> };
  return Object.entries(properties).flatMap(([name, { $ref }]) => {
    const inner = $ref?.split("/").at(-1) as keyof typeof schemas | undefined;
    return inner ? membersOf(schemas[inner], `${name}.`) : [`${prefix}${name}`];
  });
}
