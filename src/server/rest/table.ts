import { StatusService } from "../../gen/nexus/v1/status_pb.js";
import { auditRoutes } from "./audit_routes.js";
import { connectionRoutes } from "./connection_routes.js";
import { openApiDocument } from "./openapi.js";
import { providerRoutes } from "./provider_routes.js";
import { answer, type RestRoute } from "./route.js";
import { tokenRoutes } from "./token_routes.js";

const document: RestRoute = {
  method: "GET",
  path: "/openapi.json",
  operationId: "getOpenApiDocument",
  summary: "Reads this document",
  tag: "document",
  success: { status: 200, schema: "OpenApiDocument" },
  errors: [],
  open: true,
  handle: async () => ({ status: 200, body: null, text: openApi }),
};

const health: RestRoute = {
  method: "GET",
  path: "/health",
  operationId: "getHealth",
  summary: "Answers while the daemon serves",
  tag: "health",
  success: { status: 200, schema: "Health" },
  errors: [],
  open: true,
  handle: async () => answer({ status: "healthy" }),
};

/** For callers that may read the status: unlike the Nexus broker, this listener shows its counts to no unauthenticated caller. */
const metrics: RestRoute = {
  method: "GET",
  path: "/metrics",
  operationId: "getMetrics",
  summary: "Reads what /metrics of the ops listener answers",
  tag: "health",
  success: { status: 200, schema: "Metrics" },
  errors: [],
  async handle(request, call) {
    await call(StatusService.method.getStatus, {});
    return { status: 200, body: null, text: await request.metrics() };
  },
};

/** Every REST route of the `http` listener: those of the Nexus gateway, and those of its broker as aliases. */
export const restTable: readonly RestRoute[] = [
  ...providerRoutes,
  ...connectionRoutes,
  ...tokenRoutes,
  ...auditRoutes,
  health,
  metrics,
  document,
];

/** One buffer for all answers: callers without a credential may ask for it, and may not read it. */
const openApi = {
  contentType: "application/json",
  body: Buffer.from(JSON.stringify(openApiDocument(restTable))),
};
