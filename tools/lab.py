"""Open copies of the notebooks in JupyterLab: trusted, so that all is shown, and free to change.

    python tools/lab.py [--port=8888] [options of JupyterLab]

What is changed there is kept until the folder is deleted, whose name is printed; the notebooks of
the checkout stay as they are.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbformat.sign import NotebookNotary

QUIET = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}
"""Settings in place of JupyterLab's own: nothing is fetched, nor is anybody asked whether to."""
NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def copied(folder: Path) -> None:
    """Copy the notebooks into a folder, each trusted by whoever runs this."""
    notary = NotebookNotary()
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        node = nbformat.read(path, 4)
        nbformat.write(node, folder / path.name)
        notary.sign(nbformat.read(folder / path.name, 4))


def main() -> None:
    """Start JupyterLab over copies; it takes the place of this process."""
    folder = Path(tempfile.mkdtemp(prefix="gpuspec-lab-"))
    copied(folder)
    print(f"copies of the notebooks: {folder}", flush=True)
    config = Path(tempfile.mkdtemp(prefix="gpuspec-lab-config-"))
    (config / "labconfig").mkdir()
    (config / "labconfig" / "default_setting_overrides.json").write_text(json.dumps(QUIET))
    paths = [str(config), *filter(None, [os.environ.get("JUPYTER_CONFIG_PATH")])]
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(paths)
    options = [f"--ServerApp.root_dir={folder}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        options.append("--allow-root")  # in containers everybody is root
    os.execv(sys.executable, [sys.executable, "-m", "jupyterlab", *options, *sys.argv[1:]])


if __name__ == "__main__":
    main()
