#!/bin/sh
# Makes .venv what this machine's lane asks for, and says in one line what it chose.
#
#   modern lane: Python 3.11 to 3.13, glibc >= 2.39   requirements/modern.txt
#   wide lane:   Python 3.10, any glibc >= 2.17       requirements/wide.txt
#
# SEQ2SEQ_LANE=wide|modern chooses the lane, PYTHON=... the interpreter.
# Run it as often as you like: when nothing changed, it only looks.
set -eu

cd "$(dirname "$0")/.."
root=$(pwd -P)
started=$(date +%s)

say() { printf 'environment: %s\n' "$@" >&2; }
die() { say "$@"; exit 1; }

# Settings that would send packages elsewhere than .venv, or leave them without
# byte code (which costs every import of TFX half a minute).
unset PYTHONDONTWRITEBYTECODE PYTHONHOME PYTHONPATH VIRTUAL_ENV
unset PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_HASHES PIP_REQUIRE_VIRTUALENV
unset UV_PYTHON UV_SYSTEM_PYTHON UV_TARGET UV_PREFIX

# One bootstrap at a time; the kernel drops the lock with the process.
mkdir -p .cache
exec 9>.cache/bootstrap.lock
if command -v flock >/dev/null; then flock 9; fi

# --- Which lane, which interpreter -------------------------------------------

# Where a CPython 3.$1 may be. The one .venv already uses comes first, so that
# `PYTHON=... make setup` need not be repeated.
candidates() {
  if [ -n "${PYTHON:-}" ]; then echo "$PYTHON"; return; fi
  echo .venv/bin/python
  printf '%s\n' "$PATH" | tr : '\n' | sed "s|\$|/python3.$1|"
  for pyenv in "${PYENV_ROOT:-}" "${HOME:-}/.pyenv"; do
    for path in "$pyenv"/versions/3."$1".*/bin/python; do echo "$path"; done
  done
}

# Prints "VERSION PATH" when $1 really runs (a pyenv shim may not) and is CPython
# 3.$2; with exit 2 when it lacks the C headers that pyfarmhash is built with.
# Looks through a virtual environment to the interpreter below it.
probe() {
  "$1" - "$2" 2>/dev/null <<'PYTHON'
import os, sys, sysconfig

if (
    sys.version_info[:2] != (3, int(sys.argv[1]))
    or sys.implementation.name != "cpython"
    or sysconfig.get_config_var("Py_GIL_DISABLED")
):
    sys.exit(1)
base = "%s/bin/python%d.%d" % (sys.base_exec_prefix, *sys.version_info[:2])
print("%d.%d.%d" % sys.version_info[:3], base if os.path.exists(base) else sys.executable)
sys.exit(0 if os.path.exists(sysconfig.get_path("include") + "/Python.h") else 2)
PYTHON
}

# Prints "VERSION PATH" of the first usable CPython among the minor versions given.
find_python() {
  for minor in "$@"; do
    candidates "$minor" | while IFS= read -r path; do
      status=0
      found=$(probe "$path" "$minor") || status=$?
      case $status in
        0) echo "$found"; break ;;
        2) say "passing over Python $found: it has no C headers (Debian: apt-get install python3.$minor-dev)" ;;
      esac
    done
  done | head -n 1 | grep .
}

glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed 's/^glibc //') || true
if [ "$(uname -sm)" != "Linux x86_64" ] || [ -z "$glibc" ]; then
  die "TFX publishes its wheels for Linux with glibc on x86_64 alone; this is $(uname -sm)." \
    "Use such a machine, a container or a virtual machine."
fi
oldest=$(printf '%s\n' 2.39 "$glibc" | sort -V | head -n 1)

modern="13 12 11"
lane=${SEQ2SEQ_LANE:-}
case $lane in
  wide | modern) why="SEQ2SEQ_LANE" ;;
  "")
    if [ "$oldest" != 2.39 ]; then
      lane=wide why="glibc $glibc < 2.39"
    elif ! find_python $modern >/dev/null 2>&1 && find_python 10 >/dev/null 2>&1; then
      lane=wide why="glibc $glibc, but no Python 3.11 to 3.13"
    else
      lane=modern why="glibc $glibc >= 2.39"
    fi
    ;;
  *) die "SEQ2SEQ_LANE is '$lane'; it can be wide or modern." ;;
esac

case $lane in
  wide) minors=10 wanted="Python 3.10" ;;
  modern)
    minors=$modern wanted="Python 3.11, 3.12 or 3.13"
    [ "$oldest" = 2.39 ] || die "the modern lane needs glibc >= 2.39 (Debian 13, Ubuntu 24.04); this is glibc $glibc." \
      "Use the wide lane: SEQ2SEQ_LANE=wide"
    ;;
esac
lock=requirements/$lane.txt
tfx=$(sed -n 's/^tfx==\([^ ]*\).*/\1/p' "$lock")

found=$(find_python $minors) || found=
[ -n "$found" ] || [ -z "${PYTHON:-}" ] || die "PYTHON=$PYTHON is not the $wanted with C headers that the $lane lane needs."

# --- uv, and the interpreter it can bring -------------------------------------

uv=scripts/uv.sh

# uv from PyPI by whatever Python there is.
get_uv() {
  python=${found#* }
  : "${python:=python3}"
  home=$root/.cache/uv-venv
  rm -rf "$home"
  { "$python" -m venv "$home" && "$home/bin/python" -m pip install --quiet uv; } >/dev/null 2>&1 && return
  # Debian's python3 comes without ensurepip; its pip may be there all the same.
  rm -rf "$home"
  "$python" -m pip install -qq --target "$home" uv || die \
    "uv is missing, and $python could not fetch it (its reason is above)." \
    "Install uv, or python3-venv (Debian: apt-get install python3-venv), and look at pip's index settings."
}

need_uv() {
  "$uv" --version >/dev/null 2>&1 || { get_uv && "$uv" --version >/dev/null; } ||
    die "the uv in $root/.cache/uv-venv does not run."
}

if [ -z "$found" ]; then
  need_uv
  newest=3.${minors%% *}
  say "no $wanted with C headers here; uv looks for one"
  if "$uv" python install --no-progress "$newest" >&2 &&
    path=$("$uv" python find --quiet --managed-python --no-project "$newest"); then
    found=$(probe "$path" "${newest#3.}") || found=
  fi
  [ -n "$found" ] || die \
    "the $lane lane ($why) needs $wanted with its C headers, and uv could not download one." \
    "Install it (pyenv install $newest; Debian, Ubuntu: apt-get install python$newest-dev) or name it: PYTHON=/path/to/python"
fi

version=${found%% *}
python=${found#* }
case $python in
  */.pyenv/* | "${PYENV_ROOT:-/nowhere}"/*) origin="from pyenv" ;;
  */uv/python/*) origin="from uv" ;;
  *) origin="at $python" ;;
esac
chosen="$lane lane ($why), Python $version $origin, TFX $tfx"

# --- .venv ---------------------------------------------------------------------

# The stamp's first line says what .venv stands on, the second what is in it. It is
# written last: an interrupted installation has none and starts afresh.
stamp=.venv/.stamp
base="$lane $found $root"
content=$(cat "$lock" pyproject.toml setup.py | sha256sum)

if [ -x .venv/bin/python ] && [ "$(cat "$stamp" 2>/dev/null)" = "$base
$content" ] && .venv/bin/python -c '' 2>/dev/null; then
  echo "environment: $chosen, .venv up to date"
  exit
fi

compiler=${CXX:-c++}
command -v "${compiler%% *}" >/dev/null || command -v g++ >/dev/null || die \
  "no C++ compiler: TFX needs pyfarmhash, which is built from source." \
  "Install one (Debian, Ubuntu: apt-get install g++; Fedora: dnf install gcc-c++) and run this again."

need_uv

export SEQ2SEQ_PYTHON="$python"  # whose pip knows the index and the certificates

if [ "$(head -n 1 "$stamp" 2>/dev/null)" != "$base" ] || ! .venv/bin/python -c '' 2>/dev/null; then
  rm -rf .venv
  "$uv" venv --quiet --no-project --python "$python" .venv
fi
rm -f "$stamp"
say "$chosen: installing $lock (3 GB, a minute or two)"

# The lock constrains what source packages are built with, too.
"$uv" pip sync --quiet --python .venv/bin/python --require-hashes --compile-bytecode \
  --build-constraints "$lock" "$lock"
"$uv" pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .

printf '%s\n' "$base" "$content" >"$stamp"
echo "environment: $chosen, .venv ready in $(($(date +%s) - started)) s"
