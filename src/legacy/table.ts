import { auditRoutes } from "./audit_routes.js";
import { connectionRoutes } from "./connection_routes.js";
import { openApiDocument } from "./openapi.js";
import { providerRoutes } from "./provider_routes.js";
import { answer, type Route } from "./route.js";
import { tokenRoutes } from "./token_routes.js";

const document: Route = {
  method: "GET",
  path: "/openapi.json",
  operationId: "getOpenApiDocument",
  summary: "Reads this document",
  tag: "document",
  success: { status: 200, schema: "OpenApiDocument" },
  errors: [],
  open: true,
  handle: async () => answer(openApi),
};

/** Every REST route of the `http` listener: those of the existing gateway, and those of its broker as aliases. */
export const restTable: readonly Route[] = [
  ...providerRoutes,
  ...connectionRoutes,
  ...tokenRoutes,
  ...auditRoutes,
  document,
];

const openApi = openApiDocument(restTable);
