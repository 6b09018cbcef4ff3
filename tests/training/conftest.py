import pathlib
import sys

# `tiny` is shared by the tests and the processes that they start.
sys.path.insert(0, str(pathlib.Path(__file__).parent))
