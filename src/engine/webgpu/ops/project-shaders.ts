// The kernels' texts, linked with the library files that each one names in its header.
import argmax from "../shaders/project/argmax.wgsl";
import argmaxMerge from "../shaders/project/argmax_merge.wgsl";
import embed from "../shaders/project/embed.wgsl";
import gate from "../shaders/project/gate.wgsl";
import activate from "../shaders/lib/activate.wgsl";
import biases from "../shaders/lib/biases.wgsl";
import largest from "../shaders/lib/largest.wgsl";
import noBias from "../shaders/lib/no_bias.wgsl";
import order from "../shaders/lib/order.wgsl";
import sumLanes from "../shaders/lib/sum_lanes.wgsl";
import sumWorkgroup from "../shaders/lib/sum_workgroup.wgsl";
import weights from "../shaders/lib/weights.wgsl";
import matMul from "../shaders/project/mat_mul.wgsl";
import matVec from "../shaders/project/mat_vec.wgsl";
import rmsNorm from "../shaders/project/rms_norm.wgsl";
import { linkShader, linkTileShader } from "../device/pipelines.ts";

export const PROJECT_SHADERS = {
  argmax: linkShader("argmax", argmax, largest, order),
  argmaxMerge: linkShader("argmax_merge", argmaxMerge, largest, order),
  embed: linkShader("embed", embed, weights),
  gate: linkShader("gate", gate, activate),
  matMul: linkTileShader("mat_mul", matMul, weights, activate),
  matVec: linkShader("mat_vec", matVec, weights, activate, sumLanes, noBias),
  matVecBiased: linkShader("mat_vec", matVec, weights, activate, sumLanes, biases),
  rmsNorm: linkShader("rms_norm", rmsNorm, sumWorkgroup),
} as const;
