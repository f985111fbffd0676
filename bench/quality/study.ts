// The numbers of the study whose generator and rule this is: SmolLM2-135M-Instruct, Q4_1 made bf16, greedy,
// strict flow, observation window 16. Accuracy and measured kept share, by keep.
import type { Family } from "./families.ts";

export interface StudyFamily {
  readonly nPrompts: number;
  readonly meanTokens: number;
  readonly full: number;
  /** By label, in the order of `STUDY_KEEPS`. */
  readonly accuracy: Readonly<Record<string, readonly number[]>>;
  readonly keptShare: Readonly<Record<string, readonly number[]>>;
}

export const STUDY_KEEPS: readonly number[] = [0.4, 0.2, 0.1];

export const STUDY: Readonly<Record<Family, StudyFamily>> = {
  ar_wp1_50: {
    nPrompts: 150,
    meanTokens: 1828.2,
    full: 0.6067,
    accuracy: {
      "streaming-llm": [0.5267, 0.4733, 0.3933],
      h2o: [0.5533, 0.4933, 0.4867],
      snapkv: [0.4867, 0.1, 0.0133],
      pyramidkv: [0.18, 0.02, 0],
      chunkkv: [0.58, 0.22, 0.0533],
      shotkv: [0.66, 0.6933, 0.5667],
      "random-shot": [0.5267, 0.4933, 0.4333],
    },
    keptShare: {
      "streaming-llm": [0.3998, 0.1998, 0.0998],
      h2o: [0.3998, 0.1998, 0.0998],
      snapkv: [0.3998, 0.1998, 0.0998],
      pyramidkv: [0.3998, 0.1998, 0.0998],
      chunkkv: [0.3998, 0.1998, 0.0998],
      shotkv: [0.3842, 0.187, 0.0887],
      "random-shot": [0.3853, 0.1887, 0.0904],
    },
  },
  ret_pass: {
    nPrompts: 200,
    meanTokens: 566.9,
    full: 1,
    accuracy: {
      "streaming-llm": [0.365, 0.12, 0.025],
      h2o: [0.145, 0.035, 0],
      snapkv: [0.345, 0.03, 0],
      pyramidkv: [0.15, 0.015, 0],
      chunkkv: [0.99, 0.98, 0.44],
      shotkv: [1, 0.97, 0],
      "random-shot": [0.33, 0.11, 0],
    },
    keptShare: {
      "streaming-llm": [0.3992, 0.1993, 0.0992],
      h2o: [0.3992, 0.1993, 0.0992],
      snapkv: [0.3992, 0.1993, 0.0992],
      pyramidkv: [0.3992, 0.1993, 0.0992],
      chunkkv: [0.3992, 0.1993, 0.0992],
      shotkv: [0.3824, 0.1837, 0.0884],
      "random-shot": [0.3898, 0.1904, 0.0958],
    },
  },
};
