"""Create or repair .venv from a hashed lock file, once.

    python3 tools/bootstrap.py runtime|dev

Needs only Python with venv. The stamp inside .venv is written last and holds a digest of
everything that was installed, and the names that lay there, so an interrupted, outdated or
damaged set-up is repaired by the next call.
This file keeps to a syntax that old Pythons parse, so that they can say that they are too old.
"""

import hashlib
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
STAMP = os.path.join(VENV, "gpuspec-{0}.stamp")
LOCKS = {"runtime": "requirements.lock", "dev": "requirements-dev.lock"}
MINIMUM = (3, 11)


def digest(lock):
    """What an environment depends on: this Python, where the checkout lies, the locked packages."""
    parts = [sys.version, ROOT]
    for name in (lock, "pyproject.toml", os.path.join("tools", "bootstrap.py")):
        with open(os.path.join(ROOT, name), "rb") as file:
            parts.append(hashlib.sha256(file.read()).hexdigest())
    return "\n".join(parts)


def installed():
    """Names in the folder of packages: one that is gone was deleted."""
    found = set()
    for folder, folders, files in os.walk(os.path.join(VENV, "Lib" if os.name == "nt" else "lib")):
        if os.path.basename(folder) == "site-packages":
            found.update(folders + files)
            del folders[:]
    return found - {"__pycache__"}


def complete(lock, stamp):
    """Whether a stamp is of this set-up, and everything that it names is still there."""
    wanted = digest(lock)
    names = set(stamp[len(wanted) :].strip().splitlines())
    return stamp.startswith(wanted) and not names - installed()


def read(path):
    if not os.path.exists(path):
        return ""
    with open(path) as file:
        return file.read()


def run(what, *command):
    print("set-up: {0} ...".format(what))
    sys.stdout.flush()
    environment = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_NO_INPUT="1")
    # Missing bytecode doubles the start of a kernel; some environments switch it off.
    for name in ("PYTHONDONTWRITEBYTECODE", "PIP_NO_COMPILE", "PYTHONPATH", "PYTHONHOME"):
        environment.pop(name, None)
    code = subprocess.call(command, cwd=ROOT, env=environment)
    if code:
        sys.exit(
            "set-up: '{0}' failed (exit code {1}); run the same command again".format(what, code)
        )


def check_venv():
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        sys.exit(
            "gpuspec needs Python with venv, which '{0}' lacks; on Debian and Ubuntu: "
            "apt install python3-venv".format(sys.executable)
        )


def main():
    if sys.version_info[:2] < MINIMUM:
        sys.exit(
            "gpuspec needs Python 3.11 or newer, but '{0}' is Python {1}.{2}; "
            "try: make PYTHON=python3.12 ...".format(sys.executable, *sys.version_info[:2])
        )
    kind = sys.argv[1] if len(sys.argv) == 2 else ""
    if kind not in LOCKS:
        sys.exit("usage: python3 tools/bootstrap.py runtime|dev")
    lock = LOCKS[kind]
    wanted = digest(lock)
    stamps = [(LOCKS[k], read(STAMP.format(k))) for k in {kind, "dev"}]
    if any(complete(one, stamp) for one, stamp in stamps):
        return
    damaged = any(stamp.startswith(digest(one)) for one, stamp in stamps)
    python = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin", "python")
    base = os.path.join(VENV, "gpuspec-base.stamp")
    # pip takes a package for installed while its metadata lie there: begin again.
    if damaged or read(base) != sys.version + ROOT:
        check_venv()
        run("new environment in .venv", sys.executable, "-m", "venv", "--clear", VENV)
        with open(base, "w") as file:
            file.write(sys.version + ROOT)
    pip = (python, "-m", "pip", "-qq", "install", "--compile")
    run("installing {0}".format(lock), *(pip + ("--require-hashes", "-r", lock)))
    run("installing gpuspec", *(pip + ("--no-deps", "--no-build-isolation", "--editable", ".")))
    run("compiling bytecode", python, "-m", "compileall", "-q", "-j", "0", VENV, "gpuspec")
    with open(STAMP.format(kind), "w") as file:
        file.write("\n".join([wanted] + sorted(installed())))


if __name__ == "__main__":
    main()
