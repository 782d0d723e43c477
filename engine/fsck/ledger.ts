/** The ledger: that it reads back, and agrees with the cache. Nothing of it is ever changed here. */
import { type Check, found } from "./ground.js";

export function checkLedger(check: Check): void {
  const { ledger, epoch, marked } = check.ground;
  const { counts } = check;
  if (ledger.epoch !== epoch)
    found(check, "ledger-state", `the ledger has epoch ${ledger.epoch}, the cache is in ${epoch}`);
  if (ledger.mark.state !== marked)
    found(check, "ledger-state", `the ledger has the mark "${ledger.mark.state}", want "${marked}"`);
  counts.pins = ledger.pins.all().length; // each was decoded when the ledger was opened
  const { count, damaged } = ledger.notes.check();
  counts.notes = count;
  if (damaged > 0) found(check, "ledger-corrupt", `${damaged} of ${count} notes do not read back`);
}
