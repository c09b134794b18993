import type { Principal } from "../../model/access/principal.js";
import { jsonOf } from "../../service/messages/shared_message.js";
import type { BoundMethod, BoundService, CallContext } from "../../service/pipeline/bound_service.js";
import { answerOrDestroy, isHttp2, type Request, type Response } from "../listen/http_message.js";
import type { OnUnexpected } from "../listen/listener.js";
import { toConnectError } from "./connect_binding.js";
import { refuseEarly } from "./early_refusal.js";
import { methodName, toWireError } from "./wire_answer.js";

/** Longer requests are left to the library; one that names a connection has 55 bytes. */
const maxPlainBytes = 1_024;

type RepeatedMethod = BoundMethod & { kind: "unary" } & Required<
    Pick<BoundMethod & { kind: "unary" }, "decodeJson">
  >;

/** One call; its signal is made when somebody asks for one. */
class PlainJsonCall implements CallContext {
  readonly principal: Principal;
  readonly #response: Response;
  #controller: AbortController | undefined;

  constructor(principal: Principal, response: Response) {
    this.principal = principal;
    this.#response = response;
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      const controller = new AbortController();
      this.#controller = controller;
      if (this.#response.destroyed) controller.abort();
      else this.#response.once("close", () => controller.abort());
    }
    return this.#controller.signal;
  }
}

/**
 * Serves the unary calls that agents repeat, as they come in JSON over HTTP/1.1 from nearly all clients, without what the library
 * builds around a call. What is not plain (a deadline, compression, a body of unknown length or that does not decode) is left to it.
 */
export class PlainJsonCalls {
  readonly #methods = new Map<string, RepeatedMethod>();
  readonly #onUnexpected: OnUnexpected;

  constructor(services: readonly BoundService[], onUnexpected: OnUnexpected) {
    this.#onUnexpected = onUnexpected;
    for (const method of services.flatMap(({ methods }) => methods)) {
      if (isRepeated(method)) this.#methods.set(`/${methodName(method.descriptor)}`, method);
    }
  }

  /**
   * Serves the call of a caller who was let in and whose message is no longer than it may be.
   *
   * @param leave gets the body of a call that turned out to be one for the library
   * @returns false when it is one for the library, and then nothing was read
   */
  take(request: Request, response: Response, principal: Principal, leave: (body: Buffer) => void): boolean {
    const method = this.#methods.get(request.url ?? "");
    if (!method || isHttp2(response) || !isPlain(request)) return false;
    let body: Buffer | undefined;
    request.on("data", (chunk: Buffer) => {
      body = body === undefined ? chunk : Buffer.concat([body, chunk]);
    });
    request.once("end", () => {
      if (body !== undefined) this.#run(method, request, response, principal, body, leave);
    });
    return true;
  }

  #run(
    method: RepeatedMethod,
    request: Request,
    response: Response,
    principal: Principal,
    body: Buffer,
    leave: (body: Buffer) => void,
  ): void {
    const message = decoded(method, body);
    if (!message) {
      leave(body);
      return;
    }
    const call = new PlainJsonCall(principal, response);
    const failed = (error: unknown): void => {
      answerOrDestroy(response, () => {
        const wire = toWireError(error, call.signal, methodName(method.descriptor), this.#onUnexpected);
        refuseEarly(request, response, toConnectError(wire), wire);
      });
    };
    const succeeded = (answer: Parameters<typeof jsonOf>[1]): void =>
      writeAnswer(response, jsonOf(method.descriptor.output, answer));
    try {
      const answer = method.call(message, call);
      if (answer instanceof Promise) answer.then(succeeded).catch(failed);
      else succeeded(answer);
    } catch (error) {
      failed(error);
    }
  }
}

function isRepeated(method: BoundMethod): method is RepeatedMethod {
  return method.kind === "unary" && method.decodeJson !== undefined;
}

function isPlain({ method, headers }: Request): boolean {
  const length = headers["content-length"];
  return (
    method === "POST" &&
    headers["content-type"] === "application/json" &&
    length !== undefined &&
    Number(length) > 0 &&
    Number(length) <= maxPlainBytes &&
    headers["content-encoding"] === undefined &&
    headers["connect-timeout-ms"] === undefined
  );
}

/** Undefined when it does not decode: the library says what is wrong. */
function decoded(method: RepeatedMethod, body: Buffer) {
  try {
    return method.decodeJson(body);
  } catch {
    return undefined;
  }
}

function writeAnswer(response: Response, json: Buffer): void {
  if (response.destroyed) return;
  response.writeHead(200, { "content-type": "application/json", "content-length": json.length });
  (response as NodeJS.WritableStream).end(json);
}
