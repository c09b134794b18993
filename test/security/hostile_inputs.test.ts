import { create, fromBinary, toBinary, toJsonString } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { requestOf } from "../daemon/requests.js";
import { perSuite } from "../lifetimes.js";
import { cutOff, endlessVarint, isText, lyingLength, messageWith, noUtf8, text } from "./hostile/bytes.js";
import { leavesOf, methodsOf, uncovered, uncoveredRoutes } from "./hostile/coverage.js";
import { canary, type Demand, type RpcRow } from "./hostile/row.js";
import { standardRows, wireRows } from "./hostile/wire_rows.js";
import { type Ending, HostileWorld } from "./hostile/world.js";
import { exemptions, httpRows, routeExemptions, rpcRows } from "./hostile_inputs.js";

const methods = await methodsOf();
const world = perSuite(() => HostileWorld.make());

/** Nothing stored, nothing in the log that a caller can write, and the daemon answers the next one. */
async function leavesNoTrace<T>(send: () => Promise<T>, isAudited = false): Promise<T> {
  const digest = (): string | Promise<string> => (isAudited ? world.listings() : world.storeDigest());
  const before = await digest();
  const from = world.logLines.length;
  const answer = await send();
  expect(await digest(), "the store was written").toBe(before);
  for (const line of world.logLines.slice(from)) {
    expect(line, "an error of the daemon").not.toContain('"level":"error"');
    expect(line).not.toContain(canary);
    expect(line.replace(/\n$/, "")).not.toMatch(steering);
  }
  return answer;
}

/** What steers a terminal or a log: controls, changes of direction, ends of lines. */
const steering = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;

function expectDemand(ending: Ending, demand: Demand, field: string): void {
  expect(ending.code, ending.message).toBe(demand.code);
  expect(ending.message).not.toMatch(steering);
  expect(ending.message).not.toContain(canary);
  expect(ending.message.length).toBeLessThan(4000);
  for (const violation of ending.violations) {
    expect(`${violation.field} ${violation.description}`).not.toMatch(steering);
    expect(violation.description).not.toContain(canary);
  }
  if (!demand.says) return;
  const at = ending.violations.filter((violation) => violation.field === (demand.field ?? field));
  expect(at, `no error at ${demand.field ?? field} in: ${ending.message}`).not.toEqual([]);
  expect(at.map(({ description }) => description).join("; ")).toMatch(demand.says);
}

/** The ways a row is sent: each by itself. */
function waysOf(row: RpcRow): ["gRPC" | "Connect", () => Promise<Ending>][] {
  const method = methods.get(row.rpc);
  if (!method) throw new Error(`there is no ${row.rpc}`);
  const { path, input, isStream } = method;
  const ways: ["gRPC" | "Connect", () => Promise<Ending>][] = [];
  const { message, bytes, json } = row;
  if (bytes) ways.push(["gRPC", () => world.grpc(path, bytes(world.place), isStream)]);
  if (json) ways.push(["Connect", () => world.connect(path, json(world.place), isStream)]);
  if (message) {
    const binary = (): Uint8Array => toBinary(input, create(input, message(world.place)));
    ways.push(["gRPC", () => world.grpc(path, binary(), isStream)]);
    ways.push([
      "Connect",
      async () => {
        let text: string;
        try {
          text = toJsonString(input, fromBinary(input, binary()));
        } catch {
          // JSON cannot say it.
          return await world.grpc(path, binary(), isStream);
        }
        return await world.connect(path, text, isStream);
      },
    ]);
  }
  return ways;
}

describe("hostile inputs: RPCs", () => {
  for (const row of rpcRows) {
    for (const [way, send] of waysOf(row)) {
      it(`${row.rpc} ${row.fields.join(", ")}: ${row.name} (${way})`, async () => {
        const ending = await leavesNoTrace(send, row.demand.isAudited);
        if (row.demand.code === "Ok") expect(ending.code, ending.message).toBeUndefined();
        else if (row.event !== undefined) expect(ending).toMatchObject({ code: undefined, event: row.event });
        else expectDemand(ending, row.demand, row.fields[0] ?? "");
      });
    }
  }
});

describe("hostile inputs: below the messages", () => {
  it.each([...wireRows, ...standardRows])("by hand: $name", async (row) => {
    const { path = "/nexus.v1.ConnectionService/GetConnection", body, headers, code } = row;
    const ending = await leavesNoTrace(() => world.grpcBody(path, body, headers));
    if (code === "Ok") expect(ending.code, ending.message).toBeUndefined();
    else expectDemand(ending, { code }, "");
  });

  for (const [rpc, { path, input, isStream }] of methods) {
    it(`${rpc}: each of its fields, truncated and malformed`, async () => {
      for (const leaf of leavesOf(input)) {
        const field = leaf.fields.at(-1);
        const messages = [messageWith(leaf, lyingLength), messageWith(leaf, cutOff)];
        if (field && isText(field)) messages.push(...noUtf8.map((bytes) => messageWith(leaf, text(bytes))));
        else if (field?.fieldKind === "scalar") messages.push(messageWith(leaf, endlessVarint));
        for (const [index, message] of messages.entries()) {
          const ending = await leavesNoTrace(() => world.grpc(path, message, isStream));
          expect(ending.code, `${leaf.path} ${index}: ${ending.message}`).toBe("InvalidArgument");
        }
      }
    });

    it(`${rpc}: each of its fields, as JSON of another type`, async () => {
      for (const leaf of leavesOf(input)) {
        const names = leaf.fields.map(({ name }) => name);
        for (const wrong of [`["${canary}", 1, {}]`, `{"${canary}": {"x": 1}}`]) {
          // A Struct takes any object, and a list of texts one of lists.
          if (wrong.startsWith("{") && leaf.fields.at(-1)?.message?.typeName === "google.protobuf.Struct")
            continue;
          const lists = leaf.fields.map(({ fieldKind }, at) => fieldKind === "list" && at < names.length - 1);
          const json = names.reduceRight(
            (inner, name, at) => `{"${name}": ${lists[at] ? `[${inner}]` : inner}}`,
            wrong,
          );
          const ending = await leavesNoTrace(() => world.connect(path, json, isStream));
          expectDemand(ending, { code: "InvalidArgument" }, leaf.path);
        }
      }
    });
  }
});

interface RestError {
  readonly error: string;
  readonly message: string;
  readonly details?: readonly { readonly field: string; readonly description: string }[];
}

describe("hostile inputs: routes and pages", () => {
  for (const row of httpRows) {
    it(`${row.route} ${row.fields.join(", ")}: ${row.name}`, async () => {
      const { target, method = row.route.split(" ")[0] ?? "", ...more } = row.send(world.place);
      const answer = await leavesNoTrace(() => world.http(row.listener, method, target, more), row.isAudited);
      expect(answer.status, answer.body).toBe(row.status);
      expect(answer.body).not.toContain(canary);
      expect(answer.body.replace(/[\n\r]/g, "")).not.toMatch(steering);
      expect(answer.body).not.toContain("<script>alert");
      if (row.error === undefined) return;
      const body = JSON.parse(answer.body) as RestError;
      expect(body.error, body.message).toBe(row.error);
      expect(body.message).not.toMatch(steering);
      if (!row.says) return;
      if (row.error !== "invalid_argument") return expect(body.message).toMatch(row.says);
      const field = row.field ?? (row.fields[0] ?? "").replace(/^profile\./, "");
      const at = body.details?.filter((detail) => detail.field === field) ?? [];
      expect(at, `no error at ${field} in: ${body.message}`).not.toEqual([]);
      expect(at.map(({ description }) => description).join("; ")).toMatch(row.says);
    });
  }
});

describe("hostile inputs: the table", () => {
  it("has a row for every field of every RPC", () => {
    expect(uncovered(methods, rpcRows, exemptions)).toEqual([]);
  });

  it("has a row for every segment, parameter and member of every route", () => {
    expect(uncoveredRoutes(httpRows, routeExemptions)).toEqual([]);
  });

  it("has at least 150 rows of each kind", () => {
    expect(rpcRows.length).toBeGreaterThan(150);
    expect(httpRows.length).toBeGreaterThan(150);
  });

  it("sees what is stored", async () => {
    const before = world.storeDigest();
    const { connections } = world.daemonPlace.clients();
    await connections.requestConnection(requestOf("basic"));
    expect(world.storeDigest()).not.toBe(before);
  });
});
