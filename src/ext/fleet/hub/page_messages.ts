import { create } from "@bufbuild/protobuf";
import {
  type PageRequest,
  PageRequestSchema,
  type PageResponse,
} from "../../../gen/nexus/fleet/v1/fleet_pb.js";
import { type HttpAnswer, splitTarget } from "../../../server/kit.js";
import type { AnswerPage, BrowserRequest } from "../../../server/pages/kit.js";
import type { PageAnswer } from "../calls/fleet_service.js";

/** What a page of this daemon looks at; nothing else of a browser's headers travels. */
const headerNames = [
  "accept",
  "content-type",
  "cookie",
  "host",
  "origin",
  "purpose",
  "sec-fetch-dest",
  "sec-fetch-site",
  "sec-purpose",
  "x-moz",
  "x-purpose",
];

/** A browser's visit, for the hub that leads. */
export function requestOf(visit: BrowserRequest, listener: string): PageRequest {
  const { method, target, headers, body, origin } = visit;
  return create(PageRequestSchema, {
    method: method === "POST" ? "POST" : "GET",
    target,
    headers: headerNames.flatMap((name) => {
      const value = headers[name];
      return value === undefined ? [] : [{ name, value: String(value) }];
    }),
    ...(body === "too_large" ? { isTooLarge: true } : { body: Uint8Array.from(body) }),
    origin: origin ?? "",
    listener,
  });
}

/** The answer of this hub to a visit at another one. */
export async function pageAt(
  pages: ReadonlyMap<string, AnswerPage>,
  request: PageRequest,
): Promise<HttpAnswer> {
  const answer = pages.get(request.listener || "browser");
  return answer ? await answer(visitOf(request)) : { status: 404, headers: {}, body: "" };
}

function visitOf(request: PageRequest): BrowserRequest {
  const { method, target, headers, body, isTooLarge, origin, via } = request;
  const split = splitTarget(target) ?? { path: "/", query: new URLSearchParams() };
  return {
    ...{ method, target, ...split },
    headers: Object.fromEntries(headers.map(({ name, value }) => [name, value])),
    body: isTooLarge ? "too_large" : Buffer.from(body),
    origin: origin === "" ? undefined : origin,
    ...(via !== "" && { via: [via] }),
  };
}

export function pageOf({ status, headers, body }: HttpAnswer): PageAnswer {
  const fields = Object.entries(headers).flatMap(([name, value]) =>
    (typeof value === "string" ? [value] : value).map((each) => ({ name, value: each })),
  );
  return { status, headers: fields, body };
}

export function answerOf({ status, headers, body }: PageResponse): HttpAnswer {
  const fields = new Map<string, string[]>();
  for (const { name, value } of headers) fields.set(name, [...(fields.get(name) ?? []), value]);
  const joined = [...fields].map(
    ([name, values]) => [name, values.length === 1 ? (values[0] ?? "") : values] as const,
  );
  return { status, headers: Object.fromEntries(joined), body };
}
