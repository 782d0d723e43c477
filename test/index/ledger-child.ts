/** Sets the mark of the ledger in argv[2] and says so on stdout, again and again, until it is killed. */
import { Ledger } from "../../index/ledger.js";

const ledger = await Ledger.open({ directory: process.argv[2] ?? "" });
for (let transactionId = 1; ; transactionId++) {
  await ledger.setMark(
    { state: "unclean", regime: "volatile", bootId: "child", transactionId, checkpointId: 0 },
    { epoch: transactionId },
  );
  process.stdout.write(`${transactionId}\n`);
}
