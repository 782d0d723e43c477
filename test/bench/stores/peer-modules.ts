/** The npm peers, which live in a package of their own, test/bench/peers; whoever has not installed them does without. */
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

/** Of the package, from where this file is once it is built. */
export const PEERS = fileURLToPath(new URL("../../../../test/bench/peers/", import.meta.url));

/** @returns the module and its version, or why there is none. */
export function peerModule<T>(name: string): { readonly module: T; readonly version: string } | string {
  const require = createRequire(`${PEERS}package.json`);
  try {
    const module = require(name) as T;
    return { module, version: versionOf(require, name) };
  } catch (error) {
    return `${name} is not installed in test/bench/peers (${(error as Error).message.split("\n")[0]})`;
  }
}

/** Some packages do not export their package.json: then it is looked for beside the module. */
function versionOf(require: NodeJS.Require, name: string): string {
  const [place] = require.resolve.paths(name) ?? [];
  return (require(`${place}/${name}/package.json`) as { version: string }).version;
}
