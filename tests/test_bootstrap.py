"""What the set-up says where Python cannot make an environment."""

import importlib.util
import subprocess
import sys
from pathlib import Path

BOOTSTRAP = Path(__file__).parents[1] / "tools" / "bootstrap.py"


def test_a_python_without_venv_gets_one_clear_sentence(tmp_path):
    for name in ("requirements.lock", "requirements-dev.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "bootstrap.py").write_bytes(BOOTSTRAP.read_bytes())
    code = (
        "import sys, runpy; sys.modules['ensurepip'] = None; sys.argv = ['bootstrap', 'runtime']; "
        "runpy.run_path('tools/bootstrap.py', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "gpuspec needs Python with venv" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_an_environment_from_which_a_package_was_deleted_is_made_anew(tmp_path, monkeypatch):
    for name in ("requirements.lock", "requirements-dev.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    (tmp_path / "tools").mkdir()
    copy = tmp_path / "tools" / "bootstrap.py"
    copy.write_bytes(BOOTSTRAP.read_bytes())
    spec = importlib.util.spec_from_file_location("bootstrap", copy)
    bootstrap = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bootstrap)
    packages = tmp_path / ".venv" / "lib" / "python3" / "site-packages"
    done = []

    def run(what, *_):
        done.append(what.split()[0])
        for name in ("yaml", "click"):
            (packages / name).mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(bootstrap, "run", run)
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "runtime"])
    bootstrap.main()
    assert done == ["new", "installing", "installing", "compiling"]
    bootstrap.main()
    (packages / "extra").mkdir()  # more than was installed does no harm
    bootstrap.main()
    assert len(done) == 4
    (packages / "yaml").rmdir()
    bootstrap.main()
    assert done[4:] == ["new", "installing", "installing", "compiling"]
