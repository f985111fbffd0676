import { PassThrough } from "node:stream";
import { describe, expect, test } from "vitest";
import { chatCommand } from "../../../cli/chat.ts";
import { openLineInput } from "../../../cli/line-input.ts";
import { KvasirError } from "../../../src/errors.ts";
import {
  fakeInput,
  type FakeInput,
  fakeIo,
  type FakeIo,
  fakeModel,
  type FakeModel,
} from "./fakes.ts";

async function chat(
  fake: FakeModel,
  input: FakeInput,
  args: string[] = [],
  io: FakeIo = fakeIo(),
): Promise<FakeIo> {
  const command = chatCommand(fake.load, () => input);
  expect(await command.run(["--model", "m.gguf", ...args], io)).toBe(0);
  expect([input.isClosed, fake.isDisposed]).toEqual([true, true]);
  return io;
}

const user = (content: string) => ({ role: "user", content });
const assistant = (content: string) => ({ role: "assistant", content });

/** Lets everything that is ready run. */
const settle = () => new Promise((resolve) => setTimeout(resolve, 5));

describe("kvasir chat", () => {
  test("gives the whole conversation each turn, in one session, and ends with the input", async () => {
    const fake = fakeModel({ answers: [["Hello", "!"], ["Bye."]] });
    const io = await chat(fake, fakeInput(["Hi", "", "Go"]), ["--system", "Be brief."]);
    expect(io.stdout()).toBe("Hello!\nBye.\n");
    expect(fake.sessions).toHaveLength(1);
    const system = { role: "system", content: "Be brief." };
    expect(fake.inputs).toEqual([
      [system, user("Hi")],
      [system, user("Hi"), assistant("Hello!"), user("Go")],
    ]);
  });

  test("/reset forgets, /usage tells, /help helps, /quit leaves", async () => {
    const fake = fakeModel();
    const lines = ["Hi", "/reset", "Hi again", "/usage", "/help", "/quit", "unread"];
    const io = await chat(fake, fakeInput(lines));
    expect(fake.nResets).toBe(1);
    expect(fake.inputs).toEqual([[user("Hi")], [user("Hi again")]]);
    expect(io.stderr()).toContain("6.00 MiB of 24.0 MiB (25 %)");
    expect(io.stderr()).toContain("/reset  forget");
  });

  test("an unknown /command is told, with a suggestion, and not sent", async () => {
    const fake = fakeModel();
    const io = await chat(fake, fakeInput(["/rest", "/zzzzzz"]));
    expect(io.stderr()).toContain("Unknown command /rest; did you mean /reset?\n");
    expect(io.stderr()).toContain("Unknown command /zzzzzz; /help lists the commands\n");
    expect(fake.inputs).toEqual([]);
  });

  test("Ctrl-C stops the answer, keeps what was said, and the chat goes on", async () => {
    const input = fakeInput(["Hi", "Go on"]);
    const answers = [["One", " two", " three"], ["Done."]];
    const onPiece = (piece: string) => {
      if (piece === " two") input.interrupt();
    };
    const fake = fakeModel({ answers, onPiece });
    const io = await chat(fake, input);
    expect(io.stdout()).toBe("One\nDone.\n");
    expect(fake.inputs[1]).toEqual([user("Hi"), assistant("One"), user("Go on")]);
  });

  test("Ctrl-C at the prompt warns, twice leaves", async () => {
    const input = fakeInput([], "wait");
    const io = fakeIo();
    const done = chat(fakeModel(), input, [], io);
    await settle();
    input.interrupt();
    await settle();
    expect(io.stderr()).toContain("(Ctrl-C again leaves)");
    expect(input.isClosed).toBe(false);
    input.interrupt();
    await done;
  });

  test("a signal from outside ends the answer and the chat", async () => {
    const io = fakeIo();
    const fake = fakeModel({
      onPiece: (piece) => void (piece === " are" && io.controller.abort()),
    });
    await chat(fake, fakeInput(["Hi", "unread"]), [], io);
    expect(fake.inputs).toHaveLength(1);
    expect(io.stdout()).toBe("Ravens\n");
  });

  test("an error in a turn is one line, what was said stays, the chat goes on", async () => {
    const failure = new KvasirError("cache-full", "Cannot read: the cache is full");
    const fake = fakeModel({ failure });
    const io = await chat(fake, fakeInput(["Hi", "Again"]));
    expect(io.stderr()).toContain("kvasir: Cannot read: the cache is full [cache-full]\n");
    const said = { role: "assistant", content: "Ravens" };
    expect(fake.inputs[1]).toEqual([user("Hi"), said, user("Again")]);
  });

  test("needs a chat template", async () => {
    const fake = fakeModel({ chatTemplate: null });
    const command = chatCommand(fake.load, () => fakeInput([]));
    await expect(command.run(["--model", "m.gguf"], fakeIo())).rejects.toMatchObject({
      code: "unsupported-option",
    });
    expect(fake.isDisposed).toBe(true);
  });
});

describe("openLineInput on a pipe", () => {
  test("keeps lines that come while nobody asks, prints no prompt, ends with the pipe", async () => {
    const pipe = new PassThrough();
    const output = new PassThrough();
    const input = openLineInput(
      pipe as unknown as NodeJS.ReadStream,
      output as unknown as NodeJS.WriteStream,
    );
    pipe.end("one\ntwo\nlast without end");
    await settle();
    const lines = [];
    for (let line; (line = await input.next("> ")) !== undefined;) lines.push(line);
    expect(lines).toEqual(["one", "two", "last without end"]);
    expect(output.read()).toBe(null);
    input.close();
    expect(await input.next("> ")).toBe(undefined);
  });
});
