"""The same lessons and tests, built otherwise."""
import os
import subprocess

from attack import ROOT

DETAILS = {
    "gcc": ["CC=gcc"], "clang": ["CC=clang"], "musl": ["CC=musl-gcc"],
}


def make(variant, *settings, target="everything"):
    """Builds in build/VARIANT; what make says, and whether it worked."""
    environment = {name: value for name, value in os.environ.items() if name not in ("MAKELEVEL", "MAKEFLAGS")}
    end = subprocess.run(["make", f"VARIANT={variant}", *settings, target], cwd=ROOT,
                         env=environment, capture_output=True, text=True)
    return end.returncode == 0, end.stdout + end.stderr


def program(variant, lesson):
    return ROOT / f"build/{variant}/lesson-{lesson}"


def testers(variant):
    """The programs that test the library."""
    return sorted(path for path in (ROOT / f"build/{variant}/tests").glob("*_test")
                  if os.access(path, os.X_OK))
