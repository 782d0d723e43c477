/** Reads the text format of Prometheus, strictly, as it is specified; written apart from what writes it. */
import assert from "node:assert/strict";

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly help: string;
  readonly type: string;
  readonly samples: Sample[];
}

const NAME = "[a-zA-Z_:][a-zA-Z0-9_:]*";
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`);
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)/;

/** Each family has help, type and samples of its own, in one piece; no sample is there twice. */
export function parseExposition(text: string): Map<string, Family> {
  assert.ok(text.endsWith("\n"), "the last line has no end");
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let help: [name: string, text: string] | undefined;
  let current: [name: string, family: Family] | undefined;
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const [, kind, name = "", rest = ""] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (kind === "HELP") {
      help = [name, rest];
    } else if (kind === "TYPE") {
      assert.equal(help?.[0], name, `no help before the type of ${name}`);
      assert.ok(!families.has(name), `${name} is there twice`);
      current = [name, { help: help?.[1] ?? "", type: rest, samples: [] }];
      families.set(...current);
    } else {
      const sample = parseSample(line);
      assert.ok(current !== undefined, `a sample without a family: ${line}`);
      const suffixes = current[1].type === "histogram" ? ["_bucket", "_sum", "_count"] : [""];
      const ours = suffixes.some((suffix) => sample.name === current?.[0] + suffix);
      assert.ok(ours, `${sample.name} stands among those of ${current[0]}`);
      const labels = Object.entries(sample.labels).map((label) => JSON.stringify(label));
      const key = `${sample.name} ${labels.toSorted().join()}`;
      assert.ok(!seen.has(key), `a sample is there twice: ${line}`);
      seen.add(key);
      current[1].samples.push(sample);
    }
  }
  return families;
}

function parseSample(line: string): Sample {
  const [, name = "", inner = "", number = ""] = SAMPLE.exec(line) ?? assert.fail(`no sample: ${line}`);
  const labels: Record<string, string> = {};
  for (let rest = inner; rest !== "";) {
    const [whole, label = "", value = ""] = LABEL.exec(rest) ?? assert.fail(`no label: ${rest}`);
    labels[label] = value.replaceAll(/\\(.)/g, (_, letter: string) => (letter === "n" ? "\n" : letter));
    rest = rest.slice(whole.length);
  }
  const value = number === "+Inf" ? Infinity : Number(number);
  assert.ok(!Number.isNaN(value), `no number: ${line}`);
  return { name, labels, value };
}
