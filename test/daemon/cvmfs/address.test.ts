import assert from "node:assert/strict";
import { suite } from "uvu";
import { parseCvmfsAddress } from "../../../engine/daemon/cvmfs/address.js";
import { withCode } from "../../support/temp-cache.js";

const addresses = suite("addresses for CVMFS clients");

addresses("are written as clients write them", () => {
  assert.deepEqual(parseCvmfsAddress("unix=/var/lib/sock"), { kind: "unix", path: "/var/lib/sock" });
  assert.deepEqual(parseCvmfsAddress("unix=relative"), { kind: "unix", path: "relative" });
  for (const host of ["127.0.0.1", "127.1.2.3", "localhost"]) {
    assert.deepEqual(parseCvmfsAddress(`tcp=${host}:4096`), { kind: "tcp", host, port: 4096 });
  }
  assert.deepEqual(parseCvmfsAddress("tcp=:0"), { kind: "tcp", host: "127.0.0.1", port: 0 });
});

addresses("are refused with what is wanted in their place", () => {
  const wrong: Readonly<Record<string, RegExp>> = {
    "": /want unix=PATH, or tcp=HOST:PORT/,
    "/some/path": /want unix=PATH, or tcp=HOST:PORT/,
    "unix=": /want unix=PATH/,
    "unix=/a=b": /want a path without = and :/,
    "unix=/a:b": /want a path without = and :/,
    [`unix=/${"x".repeat(200)}`]: /want 1 to 107/,
    "tcp=0.0.0.0:1234": /loopback/,
    "tcp=example.org:1234": /loopback/,
    "tcp=[::1]:1234": /loopback/,
    "tcp=127.0.0.1": /want unix=PATH/,
    "tcp=127.0.0.1:65536": /want unix=PATH/,
    "udp=127.0.0.1:1": /want unix=PATH/,
  };
  for (const [text, wanted] of Object.entries(wrong)) {
    assert.throws(() => parseCvmfsAddress(text), withCode("E_ARGUMENT", wanted), text);
  }
});

addresses.run();
