// full: no compression, the baseline that every other method is measured against.
//
// Keeps every row; asks for no signal and no budget.
import { uniform } from "../allocators/uniform.ts";
import { defineMethod } from "../define-method.ts";

export const full = defineMethod({
  id: "full",
  keeps: "every row: the baseline",
  create: () => ({
    needs: { prefill: [], decode: [] },
    scope: "layer",
    schedule: { prefill: "never", everySteps: 0, onOverflow: false },
    capabilities: {
      raggedHeads: false,
      sharedAcrossHeads: true,
      touchesStorage: false,
      changesPositions: false,
      queryAware: false,
      needsCalibration: false,
      budget: "none",
    },
    minRows: 1,
    allocator: uniform,
    validate: () => [],
    onSequence: () => null,
    report: () => ({ notes: [] }),
  }),
});
