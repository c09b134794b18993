import { ConnectionService } from "../../gen/nexus/v1/connection_pb.js";
import { connectionStatusOf } from "../../service/messages/connection_message.js";
import { checkConnection, requestConnection } from "./gateway_calls.js";
import { alias, answer, idOf, type RestRoute, readFields, routeOf } from "./route.js";

const request = routeOf(ConnectionService.method.requestConnection, {
  operationId: "requestConnection",
  summary: "Starts a consent, and answers the URL that a person must open",
  tag: "connections",
  body: "ConnectionRequest",
  success: { status: 200, schema: "RequestedConnection" },
  errors: [404, 409],
  async handle({ body }, call) {
    const wanted = readFields(body, (fields) => ({
      userId: fields.text("user_id") || fields.text("workspace_id"),
      providerId: fields.text("provider_id"),
      providerName: fields.text("provider_name"),
      scopes: fields.texts("scopes"),
      returnUrl: fields.text("return_url"),
      requireConfirmation: fields.flag("require_confirmation"),
    }));
    const { authUrl, state, scopes, providerId, connectionId } = await requestConnection(call, wanted);
    return answer({ authUrl, state, scopes, provider_id: providerId, connection_id: connectionId });
  },
});

const confirm = routeOf(ConnectionService.method.confirmConnection, {
  operationId: "confirmConnection",
  summary: "Makes the credential of a consent with require_confirmation readable",
  tag: "connections",
  body: "Confirmation",
  success: { status: 200, schema: "ConfirmedConnection" },
  errors: [404, 409],
  async handle({ body }, call) {
    const { connection } = await call(
      ConnectionService.method.confirmConnection,
      readFields(body, (fields) => ({
        connectionId: idOf(fields.text("connection_id")),
        completionCode: fields.text("completion_code"),
      })),
    );
    const status = connection && connectionStatusOf(connection.status);
    if (!status) throw new Error("a confirmed connection without a status");
    return answer({ connection_id: connection.id, status });
  },
});

const check = routeOf(ConnectionService.method.getConnection, {
  operationId: "checkConnection",
  summary: "Reads the state of a connection",
  tag: "connections",
  success: { status: 200, schema: "ConnectionState" },
  errors: [404],
  async handle({ params }, call) {
    return answer({ ...(await checkConnection(call, idOf(params["id"]))) });
  },
});

const captureSchema = routeOf(ConnectionService.method.getCaptureSchema, {
  operationId: "getCaptureSchema",
  summary: "Reads which fields to ask a person for",
  tag: "capture",
  query: {
    state: {
      description: "The state of a pending request of a static type.",
      required: true,
      schema: { type: "string" },
    },
  },
  success: { status: 200, schema: "CaptureSchema" },
  errors: [404, 409],
  async handle({ query }, call) {
    const { providerName, schema } = await call(ConnectionService.method.getCaptureSchema, {
      state: query.get("state") ?? "",
    });
    return answer({ provider_name: providerName, schema: schema ?? {} });
  },
});

const captureCredential = routeOf(ConnectionService.method.captureCredential, {
  operationId: "captureCredential",
  summary: "Completes a connection of a static type; a state is good for one credential",
  tag: "capture",
  body: "Capture",
  success: { status: 200, schema: "Captured" },
  errors: [404, 409],
  async handle({ body }, call) {
    const captured = await call(
      ConnectionService.method.captureCredential,
      readFields(body, (fields) => ({
        state: fields.text("state"),
        credentials: fields.object("credentials") ?? {},
      })),
    );
    return answer({
      connection_id: captured.connectionId,
      status: "success",
      redirect_url: captured.redirectUrl,
    });
  },
});

/** As the Nexus broker answers it: it sends the browser on, where there is a return URL. */
const captureInBroker = alias(captureCredential, {
  success: { ...captureCredential.success, mayRedirect: true },
  async handle(request, call) {
    const captured = await captureCredential.handle(request, call);
    const { redirect_url: location } = captured.body as { readonly redirect_url: string };
    return location === "" ? captured : { status: 302, body: captured.body, headers: { location } };
  },
});

export const connectionRoutes: readonly RestRoute[] = [
  request,
  confirm,
  check,
  captureSchema,
  captureCredential,
  alias(request, { body: "ConsentSpecRequest" }),
  alias(captureSchema),
  captureInBroker,
];
