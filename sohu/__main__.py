"""`python -m sohu` is the `sohu` command."""

import sys

from sohu.cli import main

sys.exit(main())
