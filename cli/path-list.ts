/** A list of paths from a stream: NUL- or newline-separated, of any length. */
import { CliError, EXIT } from "./exit-codes.js";

const NEWLINE = 0x0a;
/** PATH_MAX of Linux; more without a separator is no list of paths. */
const PATH_BYTES_MAX = 4096;

/**
 * Yields the paths of a list, empty ones left out. One NUL in the first chunk means that NUL separates, as `find
 * -print0` and `git ls-files -z` write it, and names may then hold newlines.
 * @throws {CliError} 65 for what is no path.
 */
export async function* readPathList(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  let separator: number | undefined;
  for await (const chunk of stream) {
    separator ??= chunk.includes(0) ? 0 : NEWLINE;
    let bytes = Buffer.concat([rest, chunk]);
    for (let end = bytes.indexOf(separator); end >= 0; end = bytes.indexOf(separator)) {
      if (end > 0) yield checked(bytes.subarray(0, end));
      bytes = bytes.subarray(end + 1);
    }
    rest = checked(bytes);
  }
  if (rest.length > 0) yield rest;
}

function checked(path: Buffer): Buffer {
  if (path.length <= PATH_BYTES_MAX) return path;
  const start = path.toString("latin1", 0, 40);
  throw new CliError(
    EXIT.data,
    `Cannot read the list of paths: "${start}…" has over ${PATH_BYTES_MAX} bytes`,
  );
}
