#!/bin/bash
# Proves the modern lane on a machine whose glibc is too old for it: runs
# scripts/bootstrap.sh and the tests in a Debian 13 chroot, those of models/ once
# more under JAX.
#
# The chroot stays in .cache/modern-chroot, so that a second run is quick.
# SEQ2SEQ_DEBIAN_MIRROR names a Debian mirror where apt's configuration has none.
# Arguments go to one run of pytest in place of all that.
set -euo pipefail

cd "$(dirname "$0")/.."
chroot=$PWD/.cache/modern-chroot
suite=trixie
packages=python3,python3-dev,python3-venv,ca-certificates,g++,git,make

die() { printf 'test-modern: %s\n' "$@" >&2; exit 1; }

[[ $(id -u) == 0 ]] || die "a chroot needs root: run this as root, or on Debian 13 or Ubuntu 24.04 run \`make test\`"
command -v debootstrap >/dev/null || die "debootstrap is missing (Debian, Ubuntu: apt-get install debootstrap)"

# In a mount namespace of its own nothing mounted below is ever seen from outside,
# and in a process namespace of its own nothing started below outlives this script:
# the kernel clears up, however it ends.
if [[ -z ${SEQ2SEQ_IN_NAMESPACE:-} ]]; then
  SEQ2SEQ_IN_NAMESPACE=1 exec unshare --mount --pid --fork --kill-child nice "$0" "$@"
fi

# Debian's mirror as apt knows it.
mirror() {
  apt-get indextargets --format '$(SITE) $(RELEASE) $(CREATED_BY)' 2>/dev/null |
    awk -v release="$(. /etc/os-release && echo "${ID}:${VERSION_CODENAME:-}")" \
      'release == "debian:" $2 && $3 == "Packages" { print $1; exit }'
}

mkdir -p .cache
exec 9>.cache/modern-chroot.lock
flock --nonblock 9 || die "another run is using $chroot"

if [[ ! -e $chroot/.complete ]]; then
  # Only an interrupted build is here, and nothing can be mounted in it (above).
  rm -rf --one-file-system "$chroot"
  url=${SEQ2SEQ_DEBIAN_MIRROR:-$(mirror)}
  [[ $url ]] || die "apt's configuration names no Debian mirror: set SEQ2SEQ_DEBIAN_MIRROR"
  echo "test-modern: building a Debian 13 chroot (2 to 3 minutes)"
  debootstrap --variant=minbase --include=$packages $suite "$chroot" "$url" >"$PWD/.cache/debootstrap.log" 2>&1 ||
    { tail -n 20 "$PWD/.cache/debootstrap.log" >&2; die "debootstrap failed"; }
  touch "$chroot/.complete"
fi

mount -t proc proc "$chroot/proc"
mount -t sysfs sysfs "$chroot/sys"
mount --rbind /dev "$chroot/dev"

# The network as this machine has it: names, certificates, package index settings.
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf ~/.config/pip/pip.conf ~/.pip/pip.conf \
  /etc/uv/uv.toml ~/.config/uv/uv.toml /etc/ssl/certs/ca-certificates.crt; do
  if [[ -e $file ]]; then install -D -m 644 "$file" "$chroot${file/#$HOME//root}"; fi
done
for uv in "$(command -v uv || true)" .cache/uv-venv/bin/uv; do
  if [[ -x $uv ]]; then install -m 755 "$uv" "$chroot/usr/local/bin/uv"; break; fi
done

# The working tree as it is now; its .venv stays from last time.
mkdir -p "$chroot/src"
find "$chroot/src" -mindepth 1 -maxdepth 1 ! -name .venv ! -name .cache -exec rm -rf --one-file-system {} +
git ls-files -co --exclude-standard -z |
  while IFS= read -r -d '' file; do if [[ -e $file ]]; then printf '%s\0' "$file"; fi; done |
  tar --create --null --files-from=- | tar --extract --no-same-owner --directory "$chroot/src"

inside() {
  chroot "$chroot" /usr/bin/env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS -u TMPDIR -u PYTHON -u SEQ2SEQ_LANE \
    -u PYENV_ROOT -u UV -u UV_CACHE_DIR -u XDG_CACHE_HOME -u XDG_CONFIG_HOME -u XDG_DATA_HOME \
    HOME=/root LC_ALL=C.UTF-8 PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /bin/bash -c 'cd /src && "$@"' inside "$@"
}

inside scripts/bootstrap.sh
inside make --no-print-directory check-env
if [[ $# != 0 ]]; then
  inside .venv/bin/python -m pytest "$@"
  exit
fi
inside make --no-print-directory test-unit
inside make --no-print-directory test-e2e MARK="slow and modern"
# models/ is Keras 3: JAX computes the same. Its compiler's care would cost more than
# it saves on tensors this small.
inside env KERAS_BACKEND=jax JAX_DISABLE_MOST_OPTIMIZATIONS=1 \
  make --no-print-directory test-models
