// Starts the language server for Sohu assembly and ends it with the window; says how a debug adapter is reached.

const { workspace, window, debug, DebugAdapterExecutable, DebugAdapterServer } = require("vscode");

let client;

/** Called when the first file of the language is opened, or the first debug session begins. */
function activate(context) {
  context.subscriptions.push(debug.registerDebugAdapterDescriptorFactory("sohu", { createDebugAdapterDescriptor }));
  const start = (document) => {
    if (document.languageId === "sohu" && client === undefined) {
      client = startServer();
    }
  };
  context.subscriptions.push(workspace.onDidOpenTextDocument(start));
  workspace.textDocuments.forEach(start);
  return client;
}

/** The language server; resolves to its client, or to nothing when it does not start. */
async function startServer() {
  const { LanguageClient } = require("vscode-languageclient/node");
  const command = setting("server.command", "sohu-lsp");
  const made = new LanguageClient(
    "sohu",
    "Sohu assembly",
    { command, args: ["--stdio"] },
    { documentSelector: [{ language: "sohu" }] },
  );
  try {
    await made.start();
    return made;
  } catch (error) {
    window.showErrorMessage(
      `${command} does not start (${error.message}). pip install 'sohu[lsp]', or set sohu.server.command.`,
    );
  }
}

/** A Python program that serves its session is reached at a port; everything else by a process of sohu-dap. */
function createDebugAdapterDescriptor(session) {
  const { request, port, cwd } = session.configuration;
  if (request === "attach" && port !== undefined) {
    return new DebugAdapterServer(port, "127.0.0.1");
  }
  return new DebugAdapterExecutable(setting("debugger.command", "sohu-dap"), [], cwd === undefined ? {} : { cwd });
}

function setting(name, otherwise) {
  return workspace.getConfiguration("sohu").get(name) || otherwise;
}

/** Called when the window closes. */
async function deactivate() {
  const running = await client;
  return running === undefined ? undefined : running.stop();
}

module.exports = { activate, deactivate };
