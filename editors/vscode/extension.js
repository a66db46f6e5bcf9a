// Starts the language server for Sohu assembly, and ends it with the window.

const { workspace, window } = require("vscode");
const { LanguageClient } = require("vscode-languageclient/node");

let client;

/** Called when the first file of the language is opened. */
async function activate(context) {
  const command = workspace.getConfiguration("sohu").get("server.command") || "sohu-lsp";
  client = new LanguageClient(
    "sohu",
    "Sohu assembly",
    { command, args: ["--stdio"] },
    { documentSelector: [{ language: "sohu" }] },
  );
  try {
    await client.start();
  } catch (error) {
    client = undefined;
    window.showErrorMessage(
      `${command} does not start (${error.message}). pip install 'sohu[lsp]', or set sohu.server.command.`,
    );
  }
}

/** Called when the window closes. */
function deactivate() {
  return client === undefined ? undefined : client.stop();
}

module.exports = { activate, deactivate };
