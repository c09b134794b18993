import { expect, test } from "vitest";
import { networkWords } from "../../src/outbound/network_words.js";
import { OutboundError, type OutboundPhase, type OutboundReason } from "../../src/outbound/outbound_fetch.js";

test.each<[OutboundReason, OutboundPhase, string]>([
  [
    "not_leading",
    "before_send",
    "nothing was sent to idp.example, since another hub may lead by now: try again",
  ],
  [
    "timeout",
    "before_send",
    "idp.example does not accept a connection in time: check the network and firewall of this machine",
  ],
  ["timeout", "after_send", "idp.example takes the request and does not answer in time: try again"],
  ["network", "before_send", "idp.example cannot be reached: check the URL and the network"],
])(
  "%s, %s: says what to do, and does not blame the network for what the fleet refuses",
  (reason, phase, words) => {
    expect(networkWords(new OutboundError(reason, phase, "idp.example"))).toEqual({ words, isClock: false });
  },
);
