/** Tests that are not run against a follower, and why. A file is named as in `test`. */

/** Files whose daemons are no followers of `LeaderBeside`, or whose calls other files make. */
export const leftOutFiles: Readonly<Record<string, string>> = {
  "daemon/package": "what is built and shipped",
  "daemon/{client_library,demo,readme,rest_document}": "programs and documents beside a daemon",
  "daemon/{killed,mutual_tls,process,store_errors,tracing,wrong_listener}":
    "daemons that are processes of their own, or whose store is written from outside",
  "daemon/chromium": "Chromium at pages that connecting, capture and device ask for over HTTP",
  "ext/console/daemon/{every_page,journey,many,rooms,rooms_chromium,rules,live}":
    "a store that is seeded from outside, and Chromium",
  "ext/console/daemon/issuer_sign_in": "a console at a fixed port, of which two daemons have one",
  "daemon/{service,terminal,tools,mcp}/*": "commands, whose calls the other files make",
  "daemon/{keys_cli,dpop_commands,unattended_cli,gitops}": "commands, whose calls the other files make",
  "ext/policy/daemon/*": "a fleet records no requests",
  "ext/mcp/daemon/*": "commands, whose calls the other files make",
};

/** Single tests, by the ends of their names. */
export const leftOutTests: Readonly<Record<string, string>> = {
  "is bound to its connection: moved to another, it does not open": "writes into the store from outside",
  "nexusd audit says through which spoke and which hub an event came": "writes into the store from outside",
  "verify finds what somebody changed in the file, and nexusd audit says which":
    "writes into the store from outside",
  "refreshes with the nonce that it knows, over a restart with the same key":
    "the nonces that the leader learnt are gone with it, as after any restart of the hub that refreshes",
  "tells who did what, from where, in the order in which it happened":
    "reads at a follower come into the log up to a second after what the leader does",
  "puts each revision on record before a watcher gets it":
    "reads at a follower come into the log up to a second after what the leader does",
  "answers a position that is impossible by a reset and a snapshot":
    "another hub may have it: every hub of a fleet, its leader too, waits for it, and then says UNAVAILABLE",
  "counts, plans, and names who fails, over the RPC and on the page":
    "GetStatus is of the hub that is asked, by its contract: how refreshes go is known where they are made",
  "is what the provider's page offers first where consents fail, and the overview says that they do":
    "GetStatus is of the hub that is asked, by its contract: how consents go is known where they are made",
  "tells what the refreshes came to, and who holds a stream open":
    "GetActivity counts the refreshes of the hub that is asked, by its contract",
  "loses no event to a kill, and repeats none but one whose answer the kill cut off, under its id":
    "a process of its own",
  "is the same after its sealing key was rotated and retired, and the daemon restarted":
    "AddKey makes a key at the leader: an operator brings it to the others",
  "stores nothing when the provider refuses it": "opens the store of a daemon that has ended",
};
