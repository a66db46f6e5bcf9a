"""`python -m sohu.debugger.dap`, the same as `sohu-dap`."""

import sys

from sohu.debugger.dap.cli import main

if __name__ == "__main__":
    sys.exit(main())
