// A loaded model and the sessions on it. Comes while the weights do: load.ts imports it when it is asked
// for a model.
import type { Engine } from "../engine/engine.ts";
import { assert, KvasirError } from "../errors.ts";
import type { ModelConfig } from "../model/config.ts";
import type { Transformer } from "../model/transformer.ts";
import { LocalSession, type SessionOwner, type SessionParts } from "../session.ts";
import type { Model, RestoreOptions, Session, SessionOptions } from "../types.ts";

export class LocalModel implements Model {
  readonly config: ModelConfig;
  readonly tokenizer: SessionParts["tokenizer"];
  readonly chatTemplate: SessionParts["chatTemplate"];
  readonly loadMs: number;
  readonly #reload: (() => Promise<Transformer>) | undefined;
  #parts: SessionParts;
  #renewal: Promise<Transformer> | null = null;
  readonly #sessions = new Set<Session>();
  readonly #owner: SessionOwner = {
    add: (session) => void this.#sessions.add(session),
    remove: (session) => this.#forget(session),
  };
  #isDisposed = false;

  /** @param reload Loads the weights on another engine; absent where this one stays. */
  constructor(parts: SessionParts, loadMs: number, reload?: () => Promise<Transformer>) {
    this.#reload = reload;
    const renew = (lost: Transformer): Promise<Transformer> => this.#renew(lost);
    this.#parts = reload === undefined ? parts : { ...parts, renew };
    this.config = parts.transformer.config;
    this.tokenizer = parts.tokenizer;
    this.chatTemplate = parts.chatTemplate;
    this.loadMs = loadMs;
  }

  /** For the parity checks, which look at every logit. */
  get parts(): SessionParts {
    return this.#parts;
  }

  get engine(): Model["engine"] {
    const { name, activations, nThreads } = this.#engine;
    return { name, activations, nThreads };
  }

  session(options: SessionOptions = {}): Session {
    this.#check("make a session");
    return new LocalSession(this.parts, options, this.#owner);
  }

  async restore(
    snapshot: Blob | ArrayBuffer | Uint8Array,
    options: RestoreOptions = {},
  ): Promise<Session> {
    this.#check("restore a session");
    const { openSnapshot, resume } = await import("../snapshot/restore.ts");
    const saved = await openSnapshot(snapshot);
    this.#check("restore a session");
    return new LocalSession(this.parts, {}, this.#owner, resume(this.parts, saved, options));
  }

  memory(): ReturnType<Engine["memory"]> {
    return this.#engine.memory();
  }

  dispose(): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    const sessions = [...this.#sessions];
    if (sessions.length === 0) this.#engine.dispose();
    for (const session of sessions) session.dispose();
  }

  get #engine(): Engine {
    return this.#parts.transformer.engine;
  }

  /** Sessions come one by one, and get the same. */
  async #renew(lost: Transformer): Promise<Transformer> {
    if (lost !== this.#parts.transformer) return this.#parts.transformer;
    assert(this.#reload !== undefined, "only a model that can be loaded again is renewed");
    this.#renewal ??= this.#reload().finally(() => (this.#renewal = null));
    const transformer = await this.#renewal;
    if (lost === this.#parts.transformer) {
      lost.engine.dispose();
      this.#parts = { ...this.#parts, transformer };
    }
    return transformer;
  }

  #check(action: string): void {
    if (!this.#isDisposed) return;
    throw new KvasirError("disposed", `Cannot ${action}: the model was disposed`);
  }

  /** The engine goes with the last session: one in the middle of an answer ends a step later. */
  #forget(session: Session): void {
    this.#sessions.delete(session);
    if (this.#isDisposed && this.#sessions.size === 0) this.#engine.dispose();
  }
}
