import sys

from sccl.benchmark.app import main

sys.exit(main())
