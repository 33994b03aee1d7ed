"""`python -m commentary_llm`."""

import sys

from commentary_llm.cli import main

sys.exit(main())
