import assert from "node:assert/strict";
import { suite } from "uvu";
import { LruPolicy } from "../../../engine/cull/policies/lru.js";
import { Ranking } from "../../../engine/cull/ranking.js";
import { Shares } from "../../../engine/cull/shares.js";
import { SlotLinks } from "../../../engine/cull/linked-slots.js";
import { STATE, SlotTable } from "../../../engine/slots/slot-table.js";
import { randomOf } from "../../support/temp-cache.js";

const ranks = suite("ranks and holds");

const SLOTS = 24;
const RANKS = ["normal", "first", "last"] as const;
const budget = { pinBytesMax: 2 ** 40, pinSlotsMax: 2 ** 20, holdBytesMax: 8 * 4096, holdSlotsMax: 8 };

interface Block {
  rank: (typeof RANKS)[number];
  pinned: boolean;
  held: boolean;
  spared: boolean;
}

/** What goes next, said plainly: blocks in the order of their use, with what is known of each. */
class Model {
  readonly blocks = new Map<number, Block>();

  use(slot: number): void {
    const block = this.blocks.get(slot) as Block;
    this.blocks.delete(slot);
    this.blocks.set(slot, block);
    block.spared = false;
  }

  victim(): number | undefined {
    for (;;) {
      const free = [...this.blocks].filter(([, block]) => !block.pinned && !block.held);
      const [slot, block] = free.find(([, { rank }]) => rank === "first") ?? free[0] ?? [];
      if (slot === undefined || block === undefined || block.rank !== "last" || block.spared) return slot;
      this.use(slot);
      block.spared = true;
    }
  }
}

ranks("choose the victims that a plain model chooses, with shares and without", () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const random = randomOf(seed);
    const below = (count: number): number => Math.floor(random() * count);
    const table = new SlotTable();
    for (let slot = 0; slot < SLOTS; slot += 1) table.setPages(table.append(STATE.free), 1);
    const links = new SlotLinks();
    const ranking = new Ranking(
      table,
      () => new LruPolicy(links),
      () => budget,
    );
    const shares = seed % 2 === 0 ? 3 : 1;
    const rules = [
      { fs: "a", minPercent: 0 },
      { fs: "b", minPercent: 0 },
    ];
    if (shares === 3) ranking.regroup(new Shares(rules, () => 2 ** 40), () => 0);
    const model = new Model();
    for (let step = 0; step < 400; step += 1) {
      const slot = below(SLOTS);
      const block = model.blocks.get(slot);
      const what = below(8);
      if (block === undefined) {
        const rank = RANKS[below(3)] ?? "normal";
        const [pinned, held] = [below(8) === 0, below(8) === 0];
        model.blocks.set(slot, { rank, pinned, held, spared: false });
        ranking.insert(slot, below(shares), { pinned, held, rank });
      } else if (what < 2) {
        if (block.pinned || block.held) continue;
        model.use(slot);
        ranking.touch(slot);
      } else if (what === 2) {
        model.blocks.delete(slot);
        ranking.remove(slot);
      } else if (what === 3) {
        block.rank = RANKS[below(3)] ?? "normal";
        block.held = true;
        ranking.hold(slot, block.rank);
      } else if (what === 4 && block.held) {
        block.held = false;
        if (!block.pinned) model.use(slot);
        ranking.letGo(slot);
      } else if (what === 5) {
        assert.ok(ranking.pin(slot));
        block.pinned = true;
      } else if (what === 6 && block.pinned) {
        block.pinned = false;
        if (!block.held) model.use(slot);
        ranking.unpin(slot);
      } else if (what === 7) {
        const victim = model.victim();
        assert.equal(
          ranking.victim(() => true),
          victim,
          `seed ${seed}, step ${step}`,
        );
        if (victim === undefined) continue;
        model.blocks.delete(victim);
        ranking.remove(victim);
      }
      const kept = [...model.blocks.values()].filter(({ pinned, held }) => pinned || held).length;
      assert.equal(ranking.kept.held.keptSlots, kept);
      assert.equal(ranking.kept.mayHold(1, 1), kept < 8);
      assert.equal(
        ranking.kept.pinned.pinnedSlots,
        [...model.blocks.values()].filter(({ pinned }) => pinned).length,
      );
      assert.equal([...ranking.order()].length, model.blocks.size);
    }
  }
});

ranks.run();
