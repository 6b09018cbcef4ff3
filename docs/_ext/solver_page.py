"""What the page with the solver needs: the two graphs of the shipped weights, and ONNX Runtime Web.

Where npm is missing, the site is built without the solver, and says so.
"""

import base64
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile

from sphinx.errors import ExtensionError
from sphinx.util import logging

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
FILES = ("ort.wasm.min.js", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
logger = logging.getLogger(__name__)


def _prepare(app, config):
    """Puts the files into a folder of static files, `docs/_build/solver`."""
    static = pathlib.Path(app.srcdir, "_build", "solver")
    folder = static / "solver"
    folder.mkdir(parents=True, exist_ok=True)
    if not _runtime(folder):
        return
    _graphs(pathlib.Path(app.srcdir), folder)
    config.html_static_path.append(str(static))
    app.tags.add("solver")


def _runtime(folder):
    """ONNX Runtime Web from its npm package; `False` where there is no npm."""
    if all((folder / name).exists() for name in FILES):
        return True
    if shutil.which("npm") is None:
        logger.info("npm is not here: the page 'A solver in your browser' is built without the solver.", color="yellow")
        return False
    done = subprocess.run(
        ["npm", "pack", "--silent", f"{PACKAGE}@{VERSION}"], cwd=folder, capture_output=True, text=True, check=False
    )
    archive = folder / f"{PACKAGE}-{VERSION}.tgz"
    if done.returncode or not archive.exists():
        raise ExtensionError(f"npm could not bring {PACKAGE} {VERSION}:\n{done.stderr}")
    found = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if found != SHA512:
        raise ExtensionError(f"{archive} is not what is expected: its SHA-512 is {found}, and not {SHA512}.")
    with tarfile.open(archive) as file:
        for name in FILES:
            (folder / name).write_bytes(file.extractfile(f"package/dist/{name}").read())
    archive.unlink()
    return True


def _graphs(source, folder):
    """The graphs, by PyTorch in a process of its own: here Keras runs on another backend."""
    script = source / "solver_onnx.py"
    weights = source.parent / "keras_kuramoto" / "models" / "weights" / "sudoku9_hard.weights.h5"
    newest = max(script.stat().st_mtime, weights.stat().st_mtime)
    if all((folder / f"{name}.onnx").exists() for name in ("start", "step")) and newest < min(
        (folder / f"{name}.onnx").stat().st_mtime for name in ("start", "step")
    ):
        return
    environment = {**os.environ, "KERAS_BACKEND": "torch", "PYTHONPATH": str(source.parent)}
    done = subprocess.run(
        [sys.executable, str(script), str(folder)], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ExtensionError(f"The solver could not be exported:\n{done.stderr[-2000:]}")


def setup(app):
    """Before Sphinx looks for static files."""
    app.connect("config-inited", _prepare)
    return {"parallel_read_safe": True}
