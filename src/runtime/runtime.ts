/** The door of `runtime`: time, retries, bounded collections, and streams, for all who stand above. */

export { atMostEachMinute } from "./at_most_each_minute.js";
export { type Backoff, fullJitterMs, retryDelayMs } from "./backoff.js";
export { BoundedMap } from "./bounded_map.js";
export { Changes, type WaitingRequest } from "./changes.js";
export { type Clock, delay, SystemClock, setDeadline, type Timer } from "./clock.js";
export { DueTimes, type DueWork, DueWorker } from "./due_worker.js";
export { KeyedMutex } from "./keyed_mutex.js";
export type { Log } from "./log.js";
export { type Platform, platform, platformOf } from "./platform/platform.js";
export { loadSystemCalls, type SystemCalls } from "./platform/system_calls.js";
export { isRefused } from "./refused_call.js";
export { Secret } from "./secret.js";
export { SingleFlight } from "./single_flight.js";
export { steady } from "./steady_sessions.js";
export { drawn, pump, type StreamSink, type StreamSource } from "./stream_sink.js";
