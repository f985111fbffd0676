// The kernels' texts, linked with the library files that each one names in its header.
import argmax from "../shaders/project/argmax.wgsl";
import argmaxMerge from "../shaders/project/argmax_merge.wgsl";
import embed from "../shaders/project/embed.wgsl";
import gate from "../shaders/project/gate.wgsl";
import activate from "../shaders/lib/activate.wgsl";
import biases from "../shaders/lib/weights/biases.wgsl";
import dotCodes from "../shaders/lib/weights/dot_codes.wgsl";
import largest from "../shaders/lib/reduce/largest.wgsl";
import noBias from "../shaders/lib/weights/no_bias.wgsl";
import order from "../shaders/lib/reduce/order.wgsl";
import sumLanes from "../shaders/lib/reduce/sum_lanes.wgsl";
import sumWorkgroup from "../shaders/lib/reduce/sum_workgroup.wgsl";
import tileRows from "../shaders/lib/weights/tile_rows.wgsl";
import weightCodes from "../shaders/lib/weights/weight_codes.wgsl";
import weights from "../shaders/lib/weights/weights.wgsl";
import matMul from "../shaders/project/mat_mul.wgsl";
import matVec from "../shaders/project/mat_vec.wgsl";
import matMulQ8 from "../shaders/project/mat_mul_q8.wgsl";
import matVecQ8 from "../shaders/project/mat_vec_q8.wgsl";
import quantize from "../shaders/project/quantize.wgsl";
import rmsNorm from "../shaders/project/rms_norm.wgsl";
import { linkShader, linkTileShader } from "../device/pipelines.ts";

const widened = [weights, weightCodes, activate];
const coded = [weightCodes, dotCodes, activate];

export const PROJECT_SHADERS = {
  argmax: linkShader("argmax", argmax, largest, order),
  argmaxMerge: linkShader("argmax_merge", argmaxMerge, largest, order),
  embed: linkShader("embed", embed, weights, weightCodes),
  gate: linkShader("gate", gate, activate),
  matMul: linkTileShader("mat_mul", matMul, ...widened, tileRows),
  matMulQ8: linkTileShader("mat_mul_q8", matMulQ8, ...coded, tileRows),
  matVec: linkShader("mat_vec", matVec, ...widened, sumLanes, noBias),
  matVecBiased: linkShader("mat_vec", matVec, ...widened, sumLanes, biases),
  matVecQ8: linkShader("mat_vec_q8", matVecQ8, ...coded, sumLanes, noBias),
  matVecQ8Biased: linkShader("mat_vec_q8", matVecQ8, ...coded, sumLanes, biases),
  quantize: linkShader("quantize", quantize, sumWorkgroup),
  rmsNorm: linkShader("rms_norm", rmsNorm, sumWorkgroup),
} as const;
