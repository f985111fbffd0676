// Steps with a name and a time; a step that fails does not keep the later ones from running.
import { say } from "./run.mjs";

export class Steps {
  passed = 0;
  failed = 0;
  #times = [];

  /** Runs a step. A failure that its own counts do not show counts as one. */
  async run(name, action) {
    say(`\n== ${name}`);
    const start = performance.now();
    const failedBefore = this.failed;
    let isGood = true;
    try {
      await action();
    } catch (error) {
      say(`${name} failed: ${error.message}`);
      isGood = false;
      if (this.failed === failedBefore) this.failed += 1;
    }
    this.#times.push({ name, isGood, seconds: (performance.now() - start) / 1000 });
  }

  count({ passed, failed }) {
    this.passed += passed;
    this.failed += failed;
  }

  /** Prints every step's time and the closing line. @returns Whether all is well. */
  close() {
    say("");
    for (const { name, isGood, seconds } of this.#times) {
      say(`${isGood ? "ok    " : "FAILED"} ${seconds.toFixed(1).padStart(6)} s  ${name}`);
    }
    process.stdout.write(`${this.passed} passed, ${this.failed} failed\n`);
    return this.failed === 0;
  }
}
