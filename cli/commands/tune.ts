/** `tagcache tune`: what another size or policy would have brought. */
import type { Command } from "commander";
import { type PolicyName, POLICY_NAMES, isPolicyName } from "../../engine/cache.js";
import { withDaemon } from "../daemon.js";
import { example } from "../example.js";
import { CliError, EXIT } from "../exit-codes.js";
import { printJson } from "../output.js";
import { settingsOf } from "../settings.js";
import { printAdvice } from "../tune/advice.js";
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
      "without a trace ask the running daemon what other sizes and policies would bring; with traces replay them, or draw " +
        "their miss-ratio curves. A trace is a recording of `trace`, or lines of " +
        "op,fs,volume,inode,offset_bytes,length_bytes, plain or gzip",
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
    .action(async (options: Options, command: Command) => {
      if (options.trace === undefined) {
        await advise(options, command);
        return;
      }
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

/** What the running daemon knows from its own traffic. */
async function advise(options: Options, command: Command): Promise<void> {
  const { policy, capacity, curve, sample, svg, json } = options;
  for (const [name, value] of Object.entries({ policy, capacity, curve, sample, svg })) {
    if (value === undefined) continue;
    throw new CliError(
      EXIT.usage,
      `Cannot use --${name} without --trace: a daemon advises on what it serves`,
    );
  }
  const advice = await withDaemon(settingsOf(command), (client) => client.tuneAdvice());
  if (json === true) printJson(advice);
  else await printAdvice(advice);
  process.exitCode = EXIT.ok;
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
