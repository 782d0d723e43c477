import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { suite } from "uvu";
import { MAIN, run, startDaemon, untilOldEnough, withDirectory } from "./run-cli.js";

const test = suite("README");
/** dist/cli/main.js lies two directories below the project. */
const PROJECT = dirname(dirname(dirname(MAIN)));
const README = readFileSync(join(PROJECT, "README.md"), "utf8");

function fenced(language: string): string[] {
  return [...README.matchAll(new RegExp(`^\`\`\`${language}\\n([^]*?)^\`\`\`$`, "gm"))].map(
    (match) => match[1] ?? "",
  );
}

test("its library example runs and prints what it should, again on the second run", async () => {
  await withDirectory(async (directory) => {
    const [source] = fenced("ts");
    assert.ok(source !== undefined && /from "tagcache"/.test(source));
    assert.ok(source.trim().split("\n").length <= 25, "it is a short example");
    // It has no type annotations, so it is JavaScript too. The package is found as an installed one is.
    mkdirSync(join(directory, "node_modules"));
    symlinkSync(PROJECT, join(directory, "node_modules/tagcache"));
    writeFileSync(join(directory, "example.mjs"), source);
    for (const round of [1, 2]) {
      const { stdout, stderr } = await promisify(execFile)(process.execPath, ["example.mjs"], {
        cwd: directory,
      });
      assert.equal(stdout, "hit\nhello world\n", `run ${round}`);
      assert.equal(stderr, "");
    }
    assert.ok(existsSync(join(directory, "example-cache")));
  });
});

test("its commands end as they should", async () => {
  await withDirectory(async (directory) => {
    const project = join(directory, "project");
    mkdirSync(project);
    writeFileSync(join(project, "a"), "content");
    await untilOldEnough();
    const daemon = await startDaemon(join(directory, "cache"));
    const block = fenced("sh").find((text) => text.includes("tagcache serve")) ?? "";
    const lines = block.split("\n").map((line) => line.replace(/ *#.*/, "").trim());
    const commands = lines.filter((line) => line !== "" && !line.endsWith("&"));
    assert.deepEqual(
      commands.map((line) => line.split(" ")[1]),
      ["warm", "cat", "status"],
    );
    for (const command of commands) {
      const args = command
        .replace("/nvme/cache", daemon.directory)
        .replace("/srv/slow/project", project)
        .split(" ")
        .slice(1);
      const { status, stderr } = await run(args);
      assert.equal(status, 0, `${command}: ${stderr}`);
    }
    assert.equal((await daemon.run(["stop"])).status, 0);
  });
});

test("its config file is right", async () => {
  await withDirectory(async (directory) => {
    const file = join(directory, "tagcache.toml");
    writeFileSync(file, fenced("toml").join("\n"));
    const { status, stdout, stderr } = await run(["config", "check", file]);
    assert.equal(status, 0, stderr);
    assert.equal(stdout, `${file}: ok\n`);
  });
});

test("it names every command there is", () => {
  const files = readdirSync(join(PROJECT, "cli/commands")).map((file) => file.replace(/\.ts$/, ""));
  for (const command of files) assert.match(README, new RegExp(`\`${command}\\b`), command);
});

test.run();
