import { create } from "@bufbuild/protobuf";
import { type StrategyRecord, StrategyRecordSchema } from "../../gen/nexus/store/v1/records_pb.js";
import { bearerStrategy, type Strategy } from "../../model/credentials/strategy.js";
import { strategyConfig, strategyOfConfig } from "../../model/credentials/strategy_config.js";

export function toStrategyMessage(strategy: Strategy): StrategyRecord {
  return create(StrategyRecordSchema, { kind: strategy.kind, config: strategyConfig(strategy) });
}

/** @throws RangeError on a kind that this version does not know */
export function fromStrategyMessage(record: StrategyRecord | undefined): Strategy {
  if (record === undefined) return bearerStrategy;
  const strategy = strategyOfConfig(record.kind, record.config);
  if (strategy === undefined) throw new RangeError(`unknown strategy ${record.kind}`);
  return strategy;
}
