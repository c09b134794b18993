import type { Message } from "@bufbuild/protobuf";
import type { RpcAnswer } from "../pipeline/bound_service.js";

/** What `work` answers, at once where it does, or else what `otherwise` makes of its error. */
export function orElse(work: () => RpcAnswer, otherwise: (error: unknown) => Promise<Message>): RpcAnswer {
  try {
    const answer = work();
    return answer instanceof Promise ? answer.catch(otherwise) : answer;
  } catch (error) {
    return otherwise(error);
  }
}
