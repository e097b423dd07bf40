"""One thread for every library, set before any is loaded: sums in another order would be other bytes."""

import os
import sys
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = "1"
sys.path.insert(1, str(Path(__file__).parent.parent))
