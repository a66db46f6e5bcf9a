"""The language server, as an editor meets it: a child process, spoken to over its standard input and output."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types
from pygls.exceptions import JsonRpcException
from pygls.lsp.client import LanguageClient
from sohu.asm.editing import Span
from sohu.asm.formatter import format_source
from sohu.asm.lsp.positions import Columns

SOURCE = """\
        .kernel k
        .param  x, in, f32, [4, 4]
        .tile   buf, sram, f32, [4, 4]      # 🐍 𝔘nicode: buf
        .sem    loaded
        dbg.mark "🐍🐍"  # 🐍
 𝔟ig:   dma.load   buf, x                      signal loaded
        vexp       buf, buf  wait loaded>=1
        bne        x0, 1, 𝔟ig  # buf
        halt
"""
PATIENCE = 30  # seconds


class Editor:
    """A client of the server."""

    def __init__(self, client: LanguageClient, folder: Path) -> None:
        self.client = client
        self.folder = folder
        self.published: asyncio.Queue[types.PublishDiagnosticsParams] = asyncio.Queue()
        self.messages: list[str] = []
        self.version = 0

        @client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def published(params: types.PublishDiagnosticsParams) -> None:
            self.published.put_nowait(params)

        @client.feature(types.WINDOW_SHOW_MESSAGE)
        def message(params: types.ShowMessageParams) -> None:
            self.messages.append(params.message)

    @property
    def uri(self) -> str:
        return (self.folder / "k.s").as_uri()

    @property
    def document(self) -> types.TextDocumentIdentifier:
        return types.TextDocumentIdentifier(self.uri)

    async def open(self, text: str) -> list[types.Diagnostic]:
        item = types.TextDocumentItem(self.uri, "sohu", 0, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(item))
        return await self.diagnostics()

    def type(self, text: str) -> None:
        self.version += 1
        where = types.VersionedTextDocumentIdentifier(self.version, self.uri)
        whole = types.TextDocumentContentChangeWholeDocument(text)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(where, [whole]))

    async def diagnostics(self) -> list[types.Diagnostic]:
        params = await asyncio.wait_for(self.published.get(), PATIENCE)
        assert params.uri == self.uri
        return list(params.diagnostics)


def converse(folder: Path, talk: Callable[[Editor], Awaitable[None]]) -> None:
    """Start a server, have a conversation with it, and end it as the protocol says."""

    async def run() -> None:
        client = LanguageClient("test", "1")
        editor = Editor(client, folder)
        await client.start_io(sys.executable, "-m", "sohu.asm.lsp.server", "--stdio")
        answer = await asyncio.wait_for(
            client.initialize_async(types.InitializeParams(types.ClientCapabilities(), root_uri=folder.as_uri())),
            PATIENCE,
        )
        assert answer.server_info is not None and answer.server_info.name == "sohu-lsp"
        client.initialized(types.InitializedParams())
        await asyncio.wait_for(talk(editor), 4 * PATIENCE)
        await asyncio.wait_for(client.shutdown_async(None), PATIENCE)
        client.exit(None)
        await asyncio.wait_for(client.stop(), PATIENCE)

    asyncio.run(run())


def position(line: int, word: str, nth: int = 0, source: str = SOURCE) -> types.Position:
    """A word's place, in UTF-16."""
    text = source.split("\n")[line]
    at = -1
    for _ in range(nth + 1):
        at = text.index(word, at + 1)
    return types.Position(line, len(text[:at].encode("utf-16-le")) // 2)


def taken(r: types.Range, source: str = SOURCE) -> str:
    """The text of a range that counts in UTF-16."""
    assert r.start.line == r.end.line
    data = source.split("\n")[r.start.line].encode("utf-16-le")
    return data[2 * r.start.character : 2 * r.end.character].decode("utf-16-le")


def test_diagnostics_while_typing(tmp_path: Path) -> None:
    async def talk(e: Editor) -> None:
        assert await e.open(SOURCE) == []
        e.type(SOURCE.replace("vexp ", "vexq "))
        e.type(broken := SOURCE.replace("# 🐍\n", "\n").replace('"🐍🐍"', '"🐍🐍", y9'))  # overtakes it
        (found,) = await e.diagnostics()
        assert taken(found.range, broken) == "y9"
        assert (found.severity, found.code, found.source) == (types.DiagnosticSeverity.Error, "A012", "sohu-asm")
        e.type(unused := SOURCE.replace("halt", "halt\n nop"))
        (found,) = await e.diagnostics()
        assert taken(found.range, unused) == "nop" and found.severity == types.DiagnosticSeverity.Warning
        assert found.code == "unreachable" and list(found.tags or []) == [types.DiagnosticTag.Unnecessary]
        e.type(SOURCE + ' .include "other.inc"\n')
        (found,) = await e.diagnostics()
        assert "other.inc" in found.message
        (tmp_path / "other.inc").write_text(".tile late, sram, f32, [4]\n")
        e.type(SOURCE + '  .include "other.inc"\n')
        (found,) = await e.diagnostics()
        assert found.related_information is not None
        assert found.related_information[0].location.uri == (tmp_path / "other.inc").as_uri()
        assert found.range.start.line == SOURCE.count("\n")
        e.type(SOURCE)
        assert await e.diagnostics() == []
        e.client.text_document_did_close(types.DidCloseTextDocumentParams(e.document))
        assert await e.diagnostics() == []

    converse(tmp_path, talk)


def test_reading(tmp_path: Path) -> None:
    async def talk(e: Editor) -> None:
        await e.open(SOURCE)
        c, doc = e.client, e.document
        hover = await c.text_document_hover_async(types.HoverParams(doc, position(6, "vexp")))
        assert hover is not None and isinstance(hover.contents, types.MarkupContent) and hover.range is not None
        assert hover.contents.value.startswith("# vexp") and taken(hover.range) == "vexp"
        where: Any = await c.text_document_definition_async(types.DefinitionParams(doc, position(7, "𝔟ig")))
        assert [(x.range.start.line, taken(x.range)) for x in where] == [(5, "𝔟ig")]
        context = types.ReferenceContext(include_declaration=True)
        uses = await c.text_document_references_async(types.ReferenceParams(context, doc, position(6, "buf", 1)))
        assert [(x.range.start.line, taken(x.range)) for x in uses or []] == [(n, "buf") for n in (2, 5, 6, 6)]
        lights = await c.text_document_document_highlight_async(
            types.DocumentHighlightParams(doc, position(6, "loaded"))
        )
        assert [taken(x.range) for x in lights or []] == ["loaded"] * 3
        outline: Any = await c.text_document_document_symbol_async(types.DocumentSymbolParams(doc))
        assert [s.name for s in outline] == ["k"]
        assert [s.name for s in outline[0].children] == ["x", "buf", "loaded", "𝔟ig"]
        ranges = await c.text_document_folding_range_async(types.FoldingRangeParams(doc))
        assert [(f.start_line, f.end_line) for f in ranges or []] == [(0, 9)]
        help = await c.text_document_signature_help_async(types.SignatureHelpParams(doc, position(6, "buf", 1)))
        assert help is not None and help.active_parameter == 1 and help.signatures[0].label.startswith("vexp dst, src")
        tokens = await c.text_document_semantic_tokens_full_async(types.SemanticTokensParams(doc))
        assert tokens is not None
        line = start = 0
        words = []
        for dl, ds, length, _, _ in zip(*[iter(tokens.data)] * 5, strict=True):
            line, start = line + dl, ds if dl else start + ds
            words.append(taken(types.Range(types.Position(line, start), types.Position(line, start + length))))
        assert words.count("𝔟ig") == 2 and words.count("buf") == 4 and '"🐍🐍"' in words and "# 🐍" in words

    converse(tmp_path, talk)


def test_writing(tmp_path: Path) -> None:
    async def talk(e: Editor) -> None:
        await e.open(SOURCE)
        c, doc = e.client, e.document
        found: Any = await c.text_document_completion_async(types.CompletionParams(doc, position(6, "buf")))
        items = {i.label: i for i in found.items}
        assert {"buf", "x", "t3"} <= set(items) and "loaded" not in items
        e.type(typing := SOURCE.replace("halt", "𝔟: vex"))
        end = types.Position(8, position(8, "vex", source=typing).character + 3)
        found = await c.text_document_completion_async(types.CompletionParams(doc, end))
        (item,) = [i for i in found.items if i.label == "vexp"]
        assert taken(item.text_edit.range, typing) == "vex"
        resolved = await c.completion_item_resolve_async(item)
        assert isinstance(resolved.documentation, types.MarkupContent)
        assert resolved.documentation.value.startswith("# vexp")
        e.type(SOURCE)
        own: Any = await c.text_document_prepare_rename_async(types.PrepareRenameParams(doc, position(6, "buf")))
        assert taken(own) == "buf"
        edit = await c.text_document_rename_async(types.RenameParams(doc, position(6, "buf"), "block"))
        assert edit is not None and edit.changes is not None
        assert [taken(x.range) for x in edit.changes[e.uri]] == ["buf"] * 4
        assert await c.text_document_rename_async(types.RenameParams(doc, position(6, "buf"), "x5")) is None
        assert any("x5" in m for m in e.messages)
        options = types.FormattingOptions(8, True)
        edits = await c.text_document_formatting_async(types.DocumentFormattingParams(doc, options))
        assert edits is not None and [x.new_text for x in edits] == [format_source(SOURCE)]
        assert edits[0].range == types.Range(types.Position(0, 0), types.Position(9, 0))

    converse(tmp_path, talk)


def test_nothing_ends_it(tmp_path: Path) -> None:
    async def talk(e: Editor) -> None:
        nowhere = types.Position(10_000, 10_000)
        for text in [
            "",
            "\0\ud83d",
            '"' * 5000,
            ".rept 1000000000\nnop\n.endr\n",
            "a:" * 5000,
            "(" * 50_000,
            "\u2028🐍\r",
        ]:
            text = text.encode("utf-16", "replace").decode("utf-16")
            e.type(text) if e.version else await e.open(text)
            e.version += 1
            assert await e.client.text_document_hover_async(types.HoverParams(e.document, nowhere)) is None
            await e.client.text_document_completion_async(types.CompletionParams(e.document, nowhere))
            await e.client.text_document_semantic_tokens_full_async(types.SemanticTokensParams(e.document))
        with pytest.raises(JsonRpcException):
            await e.client.protocol.send_request_async("no/such/request", {})
        e.type(SOURCE)
        while await e.diagnostics():
            pass
        hover = await e.client.text_document_hover_async(types.HoverParams(e.document, position(6, "vexp")))
        assert hover is not None

    converse(tmp_path, talk)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_columns_in_every_unit(encoding: str) -> None:
    line = "aé🐍𝔟 x"
    columns = Columns([line], encoding)
    width = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding]
    name = encoding if encoding == "utf-8" else encoding + "-le"
    for column in range(len(line) + 1):
        units = len(line[:column].encode(name)) // width
        assert columns.position(0, column) == types.Position(0, units)
        assert columns.column(types.Position(0, units)) == column
    assert columns.column(types.Position(0, 999)) == len(line)
    assert columns.range(Span(0, 1, -1)).end == columns.position(0, len(line))
