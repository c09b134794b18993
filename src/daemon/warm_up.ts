import { create } from "@bufbuild/protobuf";
import type { ServiceDefinition } from "../service/pipeline/service_definition.js";

/**
 * Loads what checks requests, and compiles the rules of those that agents repeat, so that the first caller does not wait for it. Each step holds the
 * event loop for some milliseconds.
 */
export function* warmUpSteps(services: readonly ServiceDefinition[]): Generator<void> {
  for (const method of services.flatMap(({ methods }) => methods)) {
    if (method.kind === "bidi_streaming" || method.decode === undefined) continue;
    try {
      method.validate(create(method.descriptor.input));
    } catch {
      // An empty request breaks rules.
    }
    yield;
  }
}
