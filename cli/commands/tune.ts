/** `tagcache tune`: what another size or policy would have brought. */
import type { Command } from "commander";
import { type PolicyName, POLICY_NAMES, isPolicyName } from "../../engine/cache.js";
import { example } from "../example.js";
import { CliError, EXIT } from "../exit-codes.js";
import { DEFAULT_CAPACITIES, parseCapacities } from "../tune/capacity.js";

interface Options {
  readonly trace?: readonly string[];
  readonly policy?: readonly string[];
  readonly capacity?: readonly string[];
  readonly curve?: true;
  readonly sample?: string;
  readonly svg?: string;
  readonly json?: true;
}

/** Exit status: 0, 64 wrong policy or capacity, 65 a trace that does not read back, 66 no such file, 69 no library or daemon. */
export function addTune(program: Command): void {
  program
    .command("tune")
    .description(
      "replay access traces against policies and sizes, or draw their miss-ratio curves. A trace is a recording of `trace`, or " +
        "lines of op,fs,volume,inode,offset_bytes,length_bytes, plain or gzip",
    )
    .option("--trace <file...>", "one or more traces")
    .option("--policy <name...>", `some of ${POLICY_NAMES.join(", ")} (default: all)`)
    .option(
      "--capacity <size...>",
      `sizes (64MiB), blocks (425blocks), shares of the unique blocks (5%) (default: ${DEFAULT_CAPACITIES.join(" ")})`,
    )
    .option("--curve", "the miss-ratio curve of LRU, exact")
    .option("--sample <rate>", "the curve from a sample of the blocks (SHARDS): 0.01, or 1%")
    .option("--svg <file>", "draw the curves into a file")
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      example(
        "tagcache tune --trace today.trace --policy lru adaptive --capacity 64GiB 128GiB",
        "hits and fetched bytes of both policies at both sizes",
      ),
    )
    .action(async (options: Options) => {
      if (options.trace === undefined) throw new CliError(EXIT.usage, "Cannot tune: want --trace FILE");
      const { replayTraces } = await import("../tune/replay.js");
      const sampleRate = options.sample === undefined ? undefined : rateOf(options.sample);
      const curve = options.curve === true || options.svg !== undefined || sampleRate !== undefined;
      await replayTraces({
        files: options.trace,
        policies: policiesOf(options.policy ?? POLICY_NAMES),
        capacities: parseCapacities(options.capacity ?? (curve ? [] : DEFAULT_CAPACITIES)),
        json: options.json === true,
        curve,
        ...(sampleRate !== undefined && { sampleRate }),
        ...(options.svg !== undefined && { svg: options.svg }),
      });
      process.exitCode = EXIT.ok;
    });
}

function policiesOf(texts: readonly string[]): PolicyName[] {
  return texts
    .flatMap((text) => text.split(","))
    .map((text) => {
      if (isPolicyName(text)) return text;
      throw new CliError(
        EXIT.usage,
        `Cannot use policy ${JSON.stringify(text)}: want ${POLICY_NAMES.join(", ")}`,
      );
    });
}

function rateOf(text: string): number {
  const rate = text.endsWith("%") ? Number(text.slice(0, -1)) / 100 : Number(text);
  if (text.trim() !== "" && rate > 0 && rate <= 1) return rate;
  throw new CliError(
    EXIT.usage,
    `Cannot sample at ${JSON.stringify(text)}: want more than 0, at most 1 or 100%`,
  );
}
