import { type Connection, ConnectionService } from "../../../gen/nexus/v1/connection_pb.js";
import type { Answer } from "../../../server/listen/http_listener.js";
import type { Html } from "../../../server/pages/html.js";
import type { ConsoleVisit } from "../frame/console_visit.js";
import { eventStream, removeEvent, replaceEvent } from "../frame/event_stream.js";
import { elementId } from "./connection_table.js";

/** Follows connections. @param elementOf draws one as the page did */
export function liveConnections(
  { open }: ConsoleVisit,
  connectionIds: string[],
  elementOf: (connection: Connection) => Html,
): Answer {
  return eventStream((sink) =>
    open(
      ConnectionService.method.watchConnections,
      { connectionIds },
      {
        send: ({ event }) => {
          if (event.case === "connection") {
            return sink.send(replaceEvent(elementId(event.value.id), elementOf(event.value)));
          }
          return event.case === undefined || sink.send(removeEvent(elementId(event.value)));
        },
        // The browser comes back, and is told by the status of that answer when it may not.
        end: () => sink.end(),
      },
    ),
  );
}
