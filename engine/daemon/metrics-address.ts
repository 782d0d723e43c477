/** Where metrics are served: an address as it is written, checked. */
import { BlockList, isIP } from "node:net";
import { CacheError } from "../../index/core/errors.js";

export interface MetricsAddress {
  readonly host: string;
  /** 0 lets the kernel choose one. */
  readonly port: number;
  /** Only this machine can reach it. */
  readonly loopback: boolean;
}

const PORT_MAX = 65_535;
const ADDRESS = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9._-]*)):(\d{1,5})$/;

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/**
 * Reads `HOST:PORT`, `[IPv6]:PORT` or `:PORT`, which means this machine alone.
 * @throws {CacheError} E_ARGUMENT.
 */
export function parseMetricsAddress(text: string): MetricsAddress {
  const [, ipv6, name, digits] = ADDRESS.exec(text) ?? [];
  const port = Number(digits);
  const wrong = digits === undefined || port > PORT_MAX || (ipv6 !== undefined && isIP(ipv6) !== 6);
  if (wrong) {
    throw new CacheError(
      "E_ARGUMENT",
      `Cannot serve metrics on ${JSON.stringify(text.slice(0, 100))}: want HOST:PORT, [IPV6]:PORT or :PORT, the port at most ${PORT_MAX}`,
    );
  }
  const host = ipv6 ?? (name === "" ? undefined : name) ?? "127.0.0.1";
  return { host, port, loopback: isLoopback(host) };
}

function isLoopback(host: string): boolean {
  const version = isIP(host);
  if (version === 0) return host === "localhost";
  return LOOPBACK.check(host, version === 6 ? "ipv6" : "ipv4");
}
