import { describe, expect, it } from "vitest";
import {
  keepPositions,
  listPositions,
  noPositions,
  truncatePositions,
} from "../../../src/cache/row-positions.ts";
import { Rng } from "../../support/rng.ts";

describe("row positions", () => {
  it("count from 0 while nothing was dropped", () => {
    expect([...listPositions(noPositions, 3)]).toEqual([0, 1, 2]);
  });

  it("list only what lies before the newest gapless run", () => {
    const kept = keepPositions(noPositions, 10, Uint32Array.of(1, 5, 7, 8, 9));
    expect([...kept.list]).toEqual([1, 5]);
    expect(kept.runStart).toBe(7);
    expect([...listPositions(kept, 7)]).toEqual([1, 5, 7, 8, 9, 10, 11]);
  });

  it("go on at the next position when the newest row was dropped", () => {
    const kept = keepPositions(noPositions, 10, Uint32Array.of(2, 3));
    expect([...listPositions(kept, 3)]).toEqual([2, 3, 10]);
  });

  it("agree with a plain list under random keeps, appends and roll-backs", () => {
    for (let seed = 0; seed < 200; seed++) {
      const rng = new Rng(seed);
      let plain: number[] = [];
      let [known, nSeen] = [noPositions, 0];
      for (let step = 0; step < 12; step++) {
        const kind = rng.integer(0, 3);
        if (kind === 0) {
          const nNew = rng.integer(0, 9);
          for (let i = 0; i < nNew; i++) plain.push(nSeen++);
        } else if (kind === 1) {
          const keep = rng.subset(plain.length, rng.integer(0, plain.length + 1));
          known = keepPositions(known, plain.length, keep);
          plain = Array.from(keep, (row) => plain[row] as number);
        } else {
          nSeen = Math.max(0, nSeen - rng.integer(0, 12));
          const left = truncatePositions(known, plain.length, nSeen);
          plain = plain.filter((position) => position < nSeen);
          expect(left.nRows, `seed ${seed}`).toBe(plain.length);
          known = left.positions;
        }
        expect([...listPositions(known, plain.length)], `seed ${seed}`).toEqual(plain);
      }
    }
  });
});
