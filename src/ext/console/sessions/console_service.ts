import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ConsoleService, CreateConsoleLinkResponseSchema } from "../../../gen/nexus/v1/console_pb.js";
import { FailedPrecondition } from "../../../model/model.js";
import { defineService, type ServiceDefinition } from "../../../service/service.js";
import type { ConsoleSessions } from "./console_sessions.js";
import { consoleLink } from "./console_url.js";

export function consoleService(options: {
  readonly sessions: ConsoleSessions;
  /** Where browsers reach the console; undefined where none does. */
  origin(): string | undefined;
}): ServiceDefinition {
  return defineService(ConsoleService, {
    async createConsoleLink(_request, { principal }) {
      const origin = options.origin();
      if (origin === undefined) {
        throw new FailedPrecondition(
          "CONSOLE_CLOSED",
          "the console has no address that a browser reaches: set NEXUS_CONSOLE_LISTEN to host:port, or NEXUS_CONSOLE_URL to where its socket is served, and restart the daemon",
        );
      }
      const { code, expiresAtMs } = await options.sessions.createLink(principal);
      const url = consoleLink(origin, code.reveal());
      return create(CreateConsoleLinkResponseSchema, { url, expiresAt: timestampFromMs(expiresAtMs) });
    },
  });
}
