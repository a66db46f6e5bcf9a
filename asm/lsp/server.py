"""The server: each request of the protocol answered by a function of sohu.asm.editing.

Documents are read, never run. Every change sends the whole text: pygls cuts a document at every line separator that
Unicode has, the assembler and editors only at the ends of lines, so places in changes would not be the same.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from urllib.parse import urlsplit

from lsprotocol import types
from pygls import uris
from pygls.lsp.server import LanguageServer
from sohu.asm import editing
from sohu.asm.editing.complete import documentation
from sohu.asm.editing.outline import MODIFIERS, TYPES
from sohu.asm.formatter import format_source
from sohu.asm.lsp.positions import Columns
from sohu.isa import SohuError

DELAY = 0.2  # seconds without typing, after which a document is assembled

_SYMBOLS = {
    "label": types.SymbolKind.Key, "kernel": types.SymbolKind.Function, "param": types.SymbolKind.Property,
    "tile": types.SymbolKind.Array, "semaphore": types.SymbolKind.Event, "constant": types.SymbolKind.Constant,
    "register": types.SymbolKind.Variable, "macro": types.SymbolKind.Method, "external": types.SymbolKind.Interface,
}  # fmt: skip
_ITEMS = {
    "instruction": types.CompletionItemKind.Function, "directive": types.CompletionItemKind.Keyword,
    "word": types.CompletionItemKind.Keyword, "register": types.CompletionItemKind.Variable,
    "dtype": types.CompletionItemKind.TypeParameter, "keyword": types.CompletionItemKind.Property,
    "label": types.CompletionItemKind.Reference, "kernel": types.CompletionItemKind.Function,
    "param": types.CompletionItemKind.Field, "tile": types.CompletionItemKind.Variable,
    "semaphore": types.CompletionItemKind.Event, "constant": types.CompletionItemKind.Constant,
    "macro": types.CompletionItemKind.Method, "external": types.CompletionItemKind.Interface,
}  # fmt: skip
_SEVERITIES = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "note": types.DiagnosticSeverity.Information,
}


class Document:
    """One version of an open document, and what has been read of it."""

    def __init__(self, uri: str, source: str, encoding: str | None) -> None:
        self.uri = uri
        self.source = source
        self.index = editing.Index(source)
        self.columns = Columns(self.index.lines, encoding)

    def place(self, position: types.Position) -> tuple[int, int]:
        """Line and column."""
        return position.line, self.columns.column(position)

    def locations(self, spans: Sequence[editing.Span]) -> list[types.Location]:
        """Places of this document."""
        return [types.Location(self.uri, self.columns.range(s)) for s in spans]


class Server(LanguageServer):
    """The server and its open documents."""

    def __init__(self) -> None:
        try:
            release = version("sohu")
        except PackageNotFoundError:
            release = "0"
        super().__init__("sohu-lsp", release, text_document_sync_kind=types.TextDocumentSyncKind.Full)
        self._read: dict[str, Document] = {}
        self._waiting: dict[str, asyncio.Task[None]] = {}

    def document(self, uri: str) -> Document:
        """The document as it is now."""
        source = self.workspace.get_text_document(uri).source
        found = self._read.get(uri)
        if found is None or found.source != source:
            found = self._read[uri] = Document(uri, source, self.workspace.position_encoding)
        return found

    def changed(self, uri: str, delay: float = DELAY) -> None:
        """Assemble a document in a while, unless it changes again before."""
        if (task := self._waiting.pop(uri, None)) is not None:
            task.cancel()
        task = asyncio.get_running_loop().create_task(self._check(uri, delay))
        self._waiting[uri] = task
        task.add_done_callback(self._checked)

    def forget(self, uri: str) -> None:
        """A document is closed."""
        self._read.pop(uri, None)
        if (task := self._waiting.pop(uri, None)) is not None:
            task.cancel()
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))

    async def _check(self, uri: str, delay: float) -> None:
        await asyncio.sleep(delay)
        document = self.document(uri)
        file = _path(uri)
        problems = await asyncio.get_running_loop().run_in_executor(None, editing.diagnose, document.source, file)
        found = [_diagnostic(document, p, file) for p in problems]
        now = self.workspace.get_text_document(uri)
        if now.source == document.source:
            self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, found, now.version))

    def _checked(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.window_log_message(types.LogMessageParams(types.MessageType.Error, f"sohu-lsp: {error!r}"))


def _path(uri: str) -> str:
    """The file of a document; its URI where it has none."""
    path = uris.to_fs_path(uri) if urlsplit(uri).scheme == "file" else None
    return path or uri


def _diagnostic(document: Document, p: editing.Problem, file: str) -> types.Diagnostic:
    related = []
    for message, name, line in p.related:
        uri = document.uri if name in ("", file) else uris.from_fs_path(name) or document.uri
        start = types.Position(max(line, 0) if name else p.span.line, 0)
        related.append(types.DiagnosticRelatedInformation(types.Location(uri, types.Range(start, start)), message))
    return types.Diagnostic(
        document.columns.range(p.span),
        p.message,
        _SEVERITIES[p.severity],
        code=p.name or p.code,
        source="sohu-asm",
        related_information=related or None,
        tags=[types.DiagnosticTag.Unnecessary] if p.is_unused else None,
    )


server = Server()


@server.feature(types.TEXT_DOCUMENT_DID_OPEN)
def opened(ls: Server, params: types.DidOpenTextDocumentParams) -> None:
    """A document is there: say what is wrong with it."""
    ls.changed(params.text_document.uri, 0)


@server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
def changed(ls: Server, params: types.DidChangeTextDocumentParams) -> None:
    """A document is another: say what is wrong with it when typing stops."""
    ls.changed(params.text_document.uri)


@server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
def closed(ls: Server, params: types.DidCloseTextDocumentParams) -> None:
    """A document is gone, and with it what was said of it."""
    ls.forget(params.text_document.uri)


@server.feature(types.TEXT_DOCUMENT_HOVER)
def hover(ls: Server, params: types.HoverParams) -> types.Hover | None:
    """The manual's page of an instruction, and what other words mean."""
    document = ls.document(params.text_document.uri)
    found = editing.describe(document.index, *document.place(params.position))
    if found is None:
        return None
    text, span = found
    return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text), document.columns.range(span))


@server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(["."], resolve_provider=True))
def completion(ls: Server, params: types.CompletionParams) -> types.CompletionList:
    """What could stand here."""
    document = ls.document(params.text_document.uri)
    line, column = document.place(params.position)
    items = []
    for i, item in enumerate(editing.complete(document.index, line, column)):
        edit = types.TextEdit(document.columns.range(editing.Span(line, item.start, column)), item.text)
        kind = _ITEMS[item.kind]
        items.append(
            types.CompletionItem(
                item.text, kind=kind, detail=item.detail or None, text_edit=edit, sort_text=f"{i:04}", data=item.kind
            )
        )
    return types.CompletionList(is_incomplete=False, items=items)


@server.feature(types.COMPLETION_ITEM_RESOLVE)
def resolve(ls: Server, item: types.CompletionItem) -> types.CompletionItem:
    """The documentation of what completion offers."""
    if text := documentation(str(item.data), item.label):
        item.documentation = types.MarkupContent(types.MarkupKind.Markdown, text)
    return item


@server.feature(types.TEXT_DOCUMENT_SIGNATURE_HELP, types.SignatureHelpOptions([" ", ","]))
def signature_help(ls: Server, params: types.SignatureHelpParams) -> types.SignatureHelp | None:
    """How the instruction of this line is written."""
    document = ls.document(params.text_document.uri)
    found = editing.signature(document.index, *document.place(params.position))
    if found is None:
        return None
    parameters = [types.ParameterInformation(name, takes) for name, takes in found.parameters]
    doc = types.MarkupContent(types.MarkupKind.Markdown, found.documentation)
    return types.SignatureHelp([types.SignatureInformation(found.label, doc, parameters)], 0, found.active)


@server.feature(types.TEXT_DOCUMENT_DEFINITION)
def definition(ls: Server, params: types.DefinitionParams) -> list[types.Location]:
    """Where a name is defined."""
    document = ls.document(params.text_document.uri)
    return document.locations(document.index.definition(*document.place(params.position)))


@server.feature(types.TEXT_DOCUMENT_REFERENCES)
def references(ls: Server, params: types.ReferenceParams) -> list[types.Location]:
    """Where a name is used."""
    document = ls.document(params.text_document.uri)
    too = params.context.include_declaration
    return document.locations(document.index.references(*document.place(params.position), definitions=too))


@server.feature(types.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)
def highlight(ls: Server, params: types.DocumentHighlightParams) -> list[types.DocumentHighlight]:
    """The same name elsewhere."""
    document = ls.document(params.text_document.uri)
    spans = document.index.references(*document.place(params.position))
    return [types.DocumentHighlight(document.columns.range(s)) for s in spans]


@server.feature(types.TEXT_DOCUMENT_PREPARE_RENAME)
def prepare_rename(ls: Server, params: types.PrepareRenameParams) -> types.Range | None:
    """The name that would be changed."""
    document = ls.document(params.text_document.uri)
    found = document.index.at(*document.place(params.position))
    return None if found is None or found.entity is None else document.columns.range(found.span)


@server.feature(types.TEXT_DOCUMENT_RENAME, types.RenameOptions(prepare_provider=True))
def rename(ls: Server, params: types.RenameParams) -> types.WorkspaceEdit | None:
    """Give a name of this file another one; says why where that can't be."""
    document = ls.document(params.text_document.uri)
    try:
        spans = document.index.renamed(*document.place(params.position), params.new_name)
    except SohuError as e:
        ls.window_show_message(types.ShowMessageParams(types.MessageType.Error, e.message))
        return None
    return types.WorkspaceEdit(
        {document.uri: [types.TextEdit(document.columns.range(s), params.new_name) for s in spans]}
    )


@server.feature(types.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
def document_symbols(ls: Server, params: types.DocumentSymbolParams) -> list[types.DocumentSymbol]:
    """The outline."""
    document = ls.document(params.text_document.uri)

    def shown(s: editing.Symbol) -> types.DocumentSymbol:
        whole = types.Range(types.Position(s.lines[0], 0), document.columns.range(editing.Span(s.lines[1], 0, -1)).end)
        own = document.columns.range(s.span)
        return types.DocumentSymbol(
            s.name, _SYMBOLS[s.kind], whole, own, detail=s.detail, children=[shown(c) for c in s.children]
        )

    return [shown(s) for s in editing.symbols(document.index)]


@server.feature(types.TEXT_DOCUMENT_FOLDING_RANGE)
def folding(ls: Server, params: types.FoldingRangeParams) -> list[types.FoldingRange]:
    """What can be folded."""
    document = ls.document(params.text_document.uri)
    comment, region = types.FoldingRangeKind.Comment, types.FoldingRangeKind.Region
    found = editing.folds(document.index)
    return [types.FoldingRange(f.first, f.last, kind=comment if f.is_comment else region) for f in found]


@server.feature(types.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, types.SemanticTokensLegend(TYPES, MODIFIERS))
def semantic_tokens(ls: Server, params: types.SemanticTokensParams) -> types.SemanticTokens:
    """What each token is: five numbers for each, places relative to the one before."""
    document = ls.document(params.text_document.uri)
    data: list[int] = []
    line = start = 0
    for t in editing.semantic_tokens(document.index):
        if t.span.line != line:
            start = 0
        at = document.columns.units(t.span.line, 0, t.span.start)
        length = document.columns.units(t.span.line, t.span.start, t.span.end)
        bits = sum(1 << MODIFIERS.index(m) for m in t.modifiers)
        data += [t.span.line - line, at - start, length, TYPES.index(t.type), bits]
        line, start = t.span.line, at
    return types.SemanticTokens(data)


@server.feature(types.TEXT_DOCUMENT_FORMATTING)
def formatting(ls: Server, params: types.DocumentFormattingParams) -> list[types.TextEdit]:
    """The source in columns."""
    document = ls.document(params.text_document.uri)
    shown = format_source(document.source)
    if shown == document.source:
        return []
    last = len(document.index.lines) - 1
    whole = types.Range(types.Position(0, 0), document.columns.range(editing.Span(last, 0, -1)).end)
    return [types.TextEdit(whole, shown)]


def main(argv: Sequence[str] | None = None) -> int:
    """Speak the protocol over standard input and output."""
    parser = argparse.ArgumentParser(prog="sohu-lsp", description="Language server for Sohu assembly, over stdio.")
    parser.add_argument("--stdio", action="store_true", help="the default, and the only way there is")
    parser.add_argument("--version", action="version", version=f"sohu-lsp {server.version}")
    parser.parse_args(argv)
    server.start_io()
    return 0


if __name__ == "__main__":
    sys.exit(main())
