/** Operations of fill leases. Format: engine/PROTOCOL.md "Leases". */
import { SLOT_BYTES } from "../../index/core/layout.js";
import { LEASE_MS_MAX, LEASE_WAIT_MS_MAX } from "../lease-api.js";
import { checkBlockPayload } from "./arguments.js";
import type { Fields } from "./fields.js";
import { askedBytes } from "./operation.js";
import type { Operation } from "./operation.js";
import { bypassHeader, tagOf } from "./tag-fields.js";

const lease: Operation = {
  payload: false,
  replyBytes: (fields) => Math.min(askedBytes(fields, SLOT_BYTES), SLOT_BYTES),
  async run({ fields, leases }, { cache }) {
    const tag = copyOf(fields);
    const range = {
      ...(fields.has("offset") && { offsetBytes: fields.uint("offset", SLOT_BYTES) }),
      ...(fields.has("length") && { lengthBytes: fields.uint("length", SLOT_BYTES) }),
    };
    const leaseMs = fields.has("leaseMs") ? { leaseMs: fields.uint("leaseMs", LEASE_MS_MAX) } : {};
    const waitMs = fields.has("waitMs") ? { waitMs: fields.uint("waitMs", LEASE_WAIT_MS_MAX) } : {};
    const answer = await leases.ask((mayWait) =>
      cache.getOrLease(tag, { ...range, ...leaseMs, ...waitMs, mayWait }),
    );
    switch (answer.kind) {
      case "hit":
        return { header: { status: "hit" }, payload: [answer.bytes] };
      case "miss":
        return { header: { status: "miss" } };
      case "bypass":
        return { header: bypassHeader(answer) };
      case "lease": {
        const expiresMs = Math.floor(answer.lease.expiresInMs);
        return { header: { status: "lease", lease: answer.id, expiresMs } };
      }
    }
  },
};

const leasePut: Operation = {
  payload: true,
  async run({ fields, payload, leases }) {
    const id = leaseOf(fields);
    checkBlockPayload(payload);
    const result = await leases.take(id).put(payload);
    return { header: result.kind === "stored" ? { status: "stored" } : bypassHeader(result) };
  },
};

const leaseGiveUp: Operation = {
  payload: false,
  async run({ fields, leases }) {
    await leases.take(leaseOf(fields)).giveUp();
    return { header: { status: "ok" } };
  },
};

export const LEASE_OPERATIONS: ReadonlyArray<readonly [string, Operation]> = [
  ["lease", lease],
  ["leasePut", leasePut],
  ["leaseGiveUp", leaseGiveUp],
];

function leaseOf(fields: Fields): number {
  return fields.uint("lease", Number.MAX_SAFE_INTEGER);
}

/** It is used after a wait, when the frame's memory may be another's. */
function copyOf(fields: Fields) {
  const { fs, volume, inode, block } = tagOf(fields);
  return { fs: Buffer.from(fs), volume: Buffer.from(volume), inode: Buffer.from(inode), block };
}
