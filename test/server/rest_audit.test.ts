import { create } from "@bufbuild/protobuf";
import { timestampDate, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import {
  AuditService,
  type ListAuditEventsRequest,
  ListAuditEventsResponseSchema,
} from "../../src/gen/nexus/v1/audit_pb.js";
import { restRoutes } from "../../src/server/rest/rest_routes.js";
import type { BoundService } from "../../src/service/pipeline/bound_service.js";
import { apiKey } from "./fake_services.js";
import { openListener } from "./http_listener_fixture.js";
import { restDefaults } from "./rest_defaults.js";

const connectionId = "11111111-2222-4333-8444-555555555555";

/** Seven events, of which a page shows two at most, and every other page none. */
async function openAudit() {
  const asked: ListAuditEventsRequest[] = [];
  const service: BoundService = {
    descriptor: AuditService,
    methods: [
      {
        kind: "unary",
        descriptor: AuditService.method.listAuditEvents,
        call: async (message) => {
          const request = message as ListAuditEventsRequest;
          asked.push(request);
          const [before = 8, isEmpty = 0] =
            request.pageToken === "" ? [] : request.pageToken.split("-").map(Number);
          const size = isEmpty === 1 ? 0 : Math.min(request.pageSize, 2, before - 1);
          const events = Array.from({ length: size }, (_, index) => ({
            sequence: BigInt(before - 1 - index),
            time: timestampFromMs(1_700_000_000_000),
            eventType: "token_refreshed",
            principal: "daemon",
            connectionId,
          }));
          const next = before - size;
          const nextPageToken = next > 1 ? `${next}-${isEmpty === 1 ? 0 : 1}` : "";
          return create(ListAuditEventsResponseSchema, { events, nextPageToken });
        },
      },
    ],
  };
  const routes = restRoutes({
    ...restDefaults,
    services: [service],
    onUnexpected: (error) => expect(error).toBeUndefined(),
  });
  const { base } = await openListener({ routes });
  const get = async (path: string) => {
    const response = await fetch(base + path, { headers: { "x-api-key": apiKey } });
    return { headers: response.headers, body: JSON.parse(await response.text()) };
  };
  return { asked, get };
}

test("a page is as full as it can be, though pages of the RPC are not", async () => {
  const { get } = await openAudit();
  const first = (await get("/v1/audit?limit=5")).body;
  expect(first.events.map(({ sequence }: { sequence: number }) => sequence)).toEqual([7, 6, 5, 4, 3]);
  const second = (await get(`/v1/audit?limit=5&page_token=${first.next_page_token}`)).body;
  expect(second.events.map(({ sequence }: { sequence: number }) => sequence)).toEqual([2, 1]);
  expect(second.next_page_token).toBe("");
  expect(first.events[0]).toMatchObject({
    sequence: 7,
    time: "2023-11-14T22:13:20.000Z",
    event_type: "token_refreshed",
    principal: "daemon",
    connection_id: connectionId,
    provider_id: "",
    reason: "",
    origin: "",
    hash: "",
  });
});

test("the broker's list is bare, its next page in a header", async () => {
  const { get } = await openAudit();
  const { headers, body } = await get("/audit?limit=2");
  expect(body).toHaveLength(2);
  const token = headers.get("x-next-page-token");
  expect(token).toBeTruthy();
  expect((await get(`/audit?page_token=${token}`)).headers.get("x-next-page-token")).toBeNull();
});

test("filters are passed on, 50 is the page size and 1000 the largest", async () => {
  const { get, asked } = await openAudit();
  await get(
    `/v1/audit?event_type=token_refreshed&connection_id=${connectionId.toUpperCase()}&since=2026-01-02T03:04:05%2B01:00`,
  );
  expect(asked[0]).toMatchObject({ pageSize: 50, eventType: "token_refreshed", connectionId });
  expect(asked[0]?.since && timestampDate(asked[0].since).toISOString()).toBe("2026-01-02T02:04:05.000Z");
  for (const since of ["2026-01-02T03:04:05+01:00", "2026-01-02t02:04:05z"]) {
    asked.length = 0;
    await get(`/v1/audit?limit=99999&since=${since}`);
    expect(asked[0]?.pageSize).toBe(1000);
    expect(asked[0]?.since && timestampDate(asked[0].since).toISOString()).toBe("2026-01-02T02:04:05.000Z");
  }
});
