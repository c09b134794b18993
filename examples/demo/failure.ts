/** The demo cannot go on; the message is for a person. */
export class DemoFailure extends Error {}

/** Ctrl-C, or a signal that means the same. */
export class Interrupted extends Error {}
