import sys
from pathlib import Path

# The scripts lie beside the project's packages, not among them; they name each other from this folder.
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "experiments"))
