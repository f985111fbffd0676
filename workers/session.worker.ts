// The worker that holds a model, in browsers: of one page, or shared by all tabs.
import { browserRuntime } from "../src/runtime/browser.ts";
import { serveMany, serveOne } from "./host/serve.ts";

interface SharedScope {
  readonly name: string;
  close(): void;
  onconnect: ((event: MessageEvent) => void) | null;
}

if ("onconnect" in globalThis) {
  const scope = globalThis as unknown as SharedScope;
  const { name } = scope;
  const connect = serveMany(browserRuntime, { name, close: () => scope.close() });
  scope.onconnect = ({ ports: [port] }) => {
    if (port !== undefined) connect(port);
  };
} else serveOne(browserRuntime);
