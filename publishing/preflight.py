"""Can this Python run the course? Says in one line what to do when it cannot.

Any Python from 2.7 on has to be able to read this file: the ones that are too old are told so here.
"""

from __future__ import print_function

import ctypes
import platform
import sys

SUPPORTED = ((3, 11), (3, 12))


def has_venv():
    """Whether environments can be made: Debian ships ``venv`` without the ``ensurepip`` that it needs."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        return False
    return True


def missing_libraries(system, machine):
    """Debian packages of the libraries that MXNet's wheels for Linux leave to the system and that are not there."""
    needed = [("libgomp.so.1", "libgomp1")] if system == "Linux" else []
    if needed and machine == "x86_64":
        needed.append(("libquadmath.so.0", "libquadmath0"))
    missing = []
    for library, package in needed:
        try:
            ctypes.CDLL(library)
        except OSError:
            missing.append(package)
    return missing


def problem(version, system, machine, venv, missing=()):
    """What keeps the course from running, or None.

    Parameters
    ----------
    version : tuple of int
        The Python's version, major and minor first.
    system, machine : str
        As ``platform.system()`` and ``platform.machine()`` say.
    venv : bool
        Whether this Python can make a virtual environment.
    missing : sequence of str
        Packages with libraries that MXNet needs and this machine lacks.
    """
    elsewhere = "Use Google Colab or the dev container (see README.md)."
    if system == "Windows":
        return "Apache MXNet has no wheels for Windows. " + elsewhere
    if system == "Darwin" and machine == "arm64":
        return "Apache MXNet has no wheels for Macs with Apple silicon. " + elsewhere
    if system not in ("Linux", "Darwin") or machine not in ("x86_64", "aarch64", "arm64"):
        return "Apache MXNet has no wheels for %s on %s. %s" % (system, machine, elsewhere)
    name = "%d.%d" % tuple(version[:2])
    if tuple(version[:2]) not in SUPPORTED:
        supported = " or ".join("%d.%d" % known for known in SUPPORTED)
        return "Python %s is not supported: install Python %s, then run: make PYTHON=python%d.%d site" % (
            (name, supported) + SUPPORTED[-1]
        )
    if not venv:
        return "Python %s has no venv: install it (Debian, Ubuntu: apt install python%s-venv), then run make again." % (
            name,
            name,
        )
    if missing:
        return "Apache MXNet needs %s: install it (Debian, Ubuntu: apt install %s), then run make again." % (
            " and ".join(missing),
            " ".join(missing),
        )
    return None


def main():
    """Exit with status 1 and one line if this Python on this machine cannot run the course."""
    system, machine = platform.system(), platform.machine()
    sys.exit(problem(sys.version_info, system, machine, has_venv(), missing_libraries(system, machine)))


if __name__ == "__main__":
    main()
