// All variants, in one table: what each needs and which library files of shaders it replaces.
import type { Variant } from "../device/variant.ts";
import attendReduce from "../shaders/lib/reduce/attend_reduce.wgsl";
import dotCodes from "../shaders/lib/weights/dot_codes.wgsl";
import dotCodesPacked from "../shaders/variants/packed_dot/dot_codes.wgsl";
import halvesByF16 from "../shaders/variants/f16/halves.wgsl";
import halves from "../shaders/lib/halves.wgsl";
import largest from "../shaders/lib/reduce/largest.wgsl";
import attendReduceBySubgroups from "../shaders/variants/subgroups/attend_reduce.wgsl";
import largestBySubgroups from "../shaders/variants/subgroups/largest.wgsl";
import sumLanesBySubgroups from "../shaders/variants/subgroups/sum_lanes.wgsl";
import sumWorkgroupBySubgroups from "../shaders/variants/subgroups/sum_workgroup.wgsl";
import sumLanes from "../shaders/lib/reduce/sum_lanes.wgsl";
import sumWorkgroup from "../shaders/lib/reduce/sum_workgroup.wgsl";
import { dotTests } from "./dot-tests.ts";
import { halfTests } from "./half-tests.ts";
import { reduceTests } from "./reduce-tests.ts";

/** The plain variant is what remains where none of these works. */
export const VARIANTS: readonly Variant[] = [
  {
    name: "subgroups",
    feature: "subgroups",
    languageFeature: null,
    directive: "enable subgroups;",
    libraries: new Map([
      [attendReduce, attendReduceBySubgroups],
      [largest, largestBySubgroups],
      [sumLanes, sumLanesBySubgroups],
      [sumWorkgroup, sumWorkgroupBySubgroups],
    ]),
    tests: reduceTests(),
  },
  {
    name: "f16",
    feature: "shader-f16",
    languageFeature: null,
    directive: "enable f16;",
    libraries: new Map([[halves, halvesByF16]]),
    tests: halfTests(),
  },
  {
    name: "packed-dot",
    feature: null,
    languageFeature: "packed_4x8_integer_dot_product",
    directive: "requires packed_4x8_integer_dot_product;",
    libraries: new Map([[dotCodes, dotCodesPacked]]),
    tests: dotTests(),
  },
];
