import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { ConsoleSessions } from "../../domain/console/console_sessions.js";
import { ConsoleService, CreateConsoleLinkResponseSchema } from "../../gen/nexus/v1/console_pb.js";
import { FailedPrecondition } from "../../model/errors.js";
import { defineService, type ServiceDefinition } from "../pipeline/service_definition.js";

export function consoleService(options: {
  readonly sessions: Pick<ConsoleSessions, "createLink">;
  /** The link of a code; undefined where no browser reaches the console. */
  linkOf(code: string): string | undefined;
}): ServiceDefinition {
  const { sessions, linkOf } = options;
  return defineService(ConsoleService, {
    async createConsoleLink(_request, { principal }) {
      if (linkOf("") === undefined) {
        throw new FailedPrecondition(
          "CONSOLE_CLOSED",
          "the console has no address that a browser reaches: set NEXUS_CONSOLE_LISTEN to host:port, or NEXUS_CONSOLE_URL to where its socket is served, and restart the daemon",
        );
      }
      const { code, expiresAtMs } = await sessions.createLink(principal);
      return create(CreateConsoleLinkResponseSchema, {
        url: linkOf(code.reveal()) ?? "",
        expiresAt: timestampFromMs(expiresAtMs),
      });
    },
  });
}
