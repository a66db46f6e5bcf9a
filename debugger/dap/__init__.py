"""The Debug Adapter Protocol on top of the session engine: VS Code and other editors debug kernels with it.

`sohu-dap` speaks it over standard input and output, or over TCP on this machine; `serve` gives an editor a session
that a Python program has made. The protocol: https://microsoft.github.io/debug-adapter-protocol/
"""

from sohu.debugger.dap.server import attach, serve

__all__ = ["attach", "serve"]
