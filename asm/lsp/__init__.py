"""The language server, `sohu-lsp`: pip install 'sohu[lsp]'."""
