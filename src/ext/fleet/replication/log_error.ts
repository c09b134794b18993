/** A replica cannot take a batch of the log: it must be copied again, or a newer version must be started. Nothing was written. */
export class LogDiverged extends Error {
  override readonly name = "LogDiverged";
}

/** The log did not take a batch of this leader: another process leads, or the log is another one. */
export class LogRefused extends Error {
  override readonly name = "LogRefused";

  constructor(readonly verdict: "fenced" | "epoch" | "diverged") {
    super(reasons[verdict]);
  }
}

const reasons: Readonly<Record<LogRefused["verdict"], string>> = {
  fenced: "another process leads: this one must end, and restart as a follower",
  epoch: "the log started again: this process must end, and copy it",
  diverged: "the log holds another batch at this position: this process must end, and copy it",
};
