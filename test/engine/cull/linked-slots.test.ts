import assert from "node:assert/strict";
import fc from "fast-check";
import { suite } from "uvu";
import { SlotLinks, SlotList } from "../../../engine/cull/linked-slots.js";

const lists = suite("lists of slots");

/** What a list says of itself from either end. */
function shown(list: SlotList): unknown {
  return [[...list], list.oldest, list.newest, list.slots];
}

lists("slots taken over all at once stand as if each had been pushed, whatever comes after", () => {
  const slots = fc.uniqueArray(fc.nat({ max: 5000 }), { maxLength: 40 });
  const steps = fc.array(fc.tuple(fc.boolean(), fc.nat()), { maxLength: 40 });
  fc.assert(
    fc.property(slots, fc.nat({ max: 40 }), steps, (all, pushed, later) => {
      const [each, atOnce] = [new SlotList(new SlotLinks()), new SlotList(new SlotLinks())];
      for (const slot of all) each.push(slot);
      for (const slot of all.slice(0, pushed)) atOnce.push(slot);
      atOnce.pushAll(Uint32Array.from(all.slice(pushed)));
      assert.deepEqual(shown(atOnce), shown(each));
      const left = [...all];
      for (const [removes, number] of later) {
        if (left.length === 0) break;
        const place = number % left.length;
        const slot = left[place] as number;
        if (removes) left.splice(place, 1);
        for (const list of [each, atOnce]) {
          if (removes) list.remove(slot);
          else list.refresh(slot);
        }
        assert.deepEqual(shown(atOnce), shown(each));
      }
    }),
  );
});

lists.run();
