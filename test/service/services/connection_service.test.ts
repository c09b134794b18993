import { create } from "@bufbuild/protobuf";
import { expect, it } from "vitest";
import { ListConnectionsRequestSchema } from "../../../src/gen/nexus/v1/connection_pb.js";
import { owner } from "../../../src/model/access/principal.js";
import { connectionService } from "../../../src/service/services/connection_service.js";
import { aConnection } from "../../samples.js";

it("makes the messages of a page a hundred in a turn, so that other calls run between them", async () => {
  const page = { connections: Array.from({ length: 500 }, () => aConnection()), nextAfterId: undefined };
  const deps = {
    seen: { list: () => Promise.resolve(page) },
    access: { viewOf: () => ({ isRestricted: false }) },
  };
  const method = connectionService(deps as never).methods.find(
    ({ descriptor }) => descriptor.name === "ListConnections",
  );
  if (method?.kind !== "unary") throw new Error("ListConnections is no unary RPC");
  let turns = 0;
  const count = (): void => {
    turns++;
    counting = setImmediate(count);
  };
  let counting = setImmediate(count);
  const answer = await method.call(create(ListConnectionsRequestSchema), { principal: owner } as never);
  clearImmediate(counting);
  expect(answer).toMatchObject({ connections: { length: 500 } });
  expect(turns).toBeGreaterThanOrEqual(4);
});
