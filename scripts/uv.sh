#!/bin/sh
# Runs uv as `make setup` does: the machine's, or else the one that bootstrap.sh fetched,
# with the index and the certificates that pip is told to use, for uv does not read pip's
# configuration (that of .venv, or of SEQ2SEQ_PYTHON). With exit 127 when there is none.
set -eu

root=$(CDPATH= cd -- "$(dirname -- "$0")/.." && pwd -P)
for uv in "${UV:-}" "$(command -v uv || true)" "$root/.cache/uv-venv/bin/uv" ""; do
  if [ -n "$uv" ] && "$uv" --version >/dev/null 2>&1; then break; fi
done
[ -n "$uv" ] || { echo "uv is missing: make setup fetches it" >&2; exit 127; }

# `pip config get` misses what stands in some of pip's files; its list has all of them.
settings=$("${SEQ2SEQ_PYTHON:-$root/.venv/bin/python}" -m pip config list 2>/dev/null || true)
pip_setting() { printf '%s\n' "$settings" | sed -n "s/^global\.$1='\(.*\)'\$/\1/p" | tail -n 1; }
index=${PIP_INDEX_URL:-$(pip_setting index-url)}
if [ -n "$index" ] && [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
  export UV_DEFAULT_INDEX="$index"
fi
certificates=${PIP_CERT:-$(pip_setting cert)}
if [ -n "$certificates" ] && [ -z "${SSL_CERT_FILE:-}" ]; then
  export SSL_CERT_FILE="$certificates"
fi
exec "$uv" "$@"
