import type { MessageInitShape } from "@bufbuild/protobuf";
import {
  type AuditEvent,
  AuditService,
  type ListAuditEventsRequestSchema,
} from "../../../gen/nexus/v1/audit_pb.js";
import { type Connection, ConnectionService, ConnectionStatus } from "../../../gen/nexus/v1/connection_pb.js";
import { type Provider, ProviderService } from "../../../gen/nexus/v1/provider_pb.js";
import { type GetStatusResponse, StatusService } from "../../../gen/nexus/v1/status_pb.js";
import type { PageRequest } from "./request.js";
import { states } from "./words.js";

/** Those that the caller may see. */
export async function allProviders({ may, call }: PageRequest): Promise<readonly Provider[]> {
  if (!may("provider.read")) return [];
  return (await call(ProviderService.method.listProviders, { pageSize: 1000 })).providers;
}

/** What the providers of connections are called on a page; one that was deleted has its own name. */
export async function providerNames(request: PageRequest) {
  const names = new Map((await allProviders(request)).map((each) => [each.id, displayName(request, each)]));
  return ({ providerId, providerName }: Pick<Connection, "providerId" | "providerName">): string =>
    names.get(providerId) ?? providerName;
}

/** For people: the name of its template with its own. */
export function displayName({ describe }: PageRequest, { name, template }: Provider): string {
  return describe({ providerName: name, template }).displayName;
}

/** Undefined if the caller may not read it. */
export async function statusOf(
  { may, call }: PageRequest,
  maxEntries = 1,
): Promise<GetStatusResponse | undefined> {
  return may("status.read") ? await call(StatusService.method.getStatus, { maxEntries }) : undefined;
}

/** @param wanted undefined for all */
export function countOf(status: GetStatusResponse | undefined, wanted?: ConnectionStatus): number {
  const counted = status?.connections.filter((each) => wanted === undefined || each.status === wanted) ?? [];
  return counted.reduce((sum, { count }) => sum + Number(count), 0);
}

interface Bounds {
  readonly most: number;
  /** A call looks at a bounded part of the list: some 5 000 events, or 500 connections. */
  readonly calls?: number;
}

/** Reads on until `most` are found. @param read the next page, with so many that are still missing */
async function collect<T>(
  from: string,
  { most, calls = 1 }: Bounds,
  read: (pageToken: string, missing: number) => Promise<readonly [found: readonly T[], next: string]>,
) {
  const found: T[] = [];
  let next = from;
  for (let made = 0; made < calls; made++) {
    const [more, nextPageToken] = await read(next, most - found.length);
    found.push(...more);
    next = nextPageToken;
    if (next === "" || found.length >= most) break;
    // Others' calls are not held up by a search.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { found, next };
}

/** The newest events that pass a filter. @param passes what the RPC cannot ask for */
export function findEvents(
  { call }: PageRequest,
  { pageToken: from = "", ...filter }: MessageInitShape<typeof ListAuditEventsRequestSchema>,
  bounds: Bounds,
  passes?: (event: AuditEvent) => boolean,
) {
  return collect(from, bounds, async (pageToken, missing) => {
    // Of many, few may pass.
    const pageSize = Math.min(1_000, passes ? Math.max(sievedPageSize, missing) : missing);
    const listRequest = { ...filter, pageSize, pageToken };
    const { events, nextPageToken } = await call(AuditService.method.listAuditEvents, listRequest);
    return [passes ? events.filter(passes) : events, nextPageToken];
  });
}

/** Events that are read at once where many do not pass: a page can have so many more than it wants. */
const sievedPageSize = 200;

/** What remains to be found is requested in no smaller pieces. */
const minPageSize = 20;

/** Empty texts pass all. */
export interface ListedConnections {
  readonly search?: string;
  /** A word of `states`. */
  readonly state?: string;
  readonly user?: string;
  readonly provider?: string;
}

export function findConnections(
  { call }: PageRequest,
  { search = "", state = "", user: userId = "", provider: providerId = "" }: ListedConnections,
  bounds: Bounds,
  after = "",
) {
  const [, status = ConnectionStatus.UNSPECIFIED] = states.find(([word]) => word === state) ?? [];
  return collect(after, bounds, async (pageToken, missing) => {
    const filter = {
      status,
      search,
      userId,
      providerId,
      pageSize: Math.max(minPageSize, missing),
      pageToken,
    };
    const { connections, nextPageToken } = await call(ConnectionService.method.listConnections, filter);
    return [connections, nextPageToken];
  });
}
