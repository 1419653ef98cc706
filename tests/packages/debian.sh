#!/usr/bin/env bash
# debian.sh [CHROOT]: makes the Debian packages, and installs, uses and removes them in a copy of CHROOT, a bare Debian. Without
# one, debootstrap makes it. As root, with a Debian mirror at hand; some minutes.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() { echo "debian.sh: $1" && exit 1; }
skip() { echo "debian.sh: skipped, because $1" && exit 77; }
[[ $(id -u) == 0 ]] || skip "chroot needs root"
(($# > 0)) || command -v debootstrap >/dev/null || skip "debootstrap is not installed"

cmake --preset deb
cmake --build --preset deb --parallel "$(nproc)"
cpack --preset deb
packages=(build/packages/*.deb)

root=$(mktemp -d)
clean_up() { umount "$root/proc" 2>/dev/null || true; rm -rf --one-file-system "$root"; }
trap clean_up EXIT
if (($# > 0)); then
  cp -a "$1/." "$root"
else
  debootstrap --variant=minbase "$(. /etc/os-release && echo "$VERSION_CODENAME")" "$root"
fi
mount -t proc proc "$root/proc"

inside() { DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"; }
left() { find "$root" -xdev -path "$root/home" -prune -o -path "$root/var/lib/apt" -prune -o -name '*microbatch*' -print; }

mkdir -p "$root/home/packages"
cp "${packages[@]}" "$root/home/packages/"
cp -r tests/consumer "$root/home/"

inside apt-get update -qq
inside apt-get install -qq --no-install-recommends g++ cmake make pkg-config >/dev/null
inside bash -c 'apt-get install -y --no-install-recommends /home/packages/*.deb'

components=
for package in "${packages[@]}"; do
  if [[ $package =~ libmicrobatch-([a-z]+)-dev_ ]]; then components+=${components:+,}${BASH_REMATCH[1]}; fi
done
inside bash -euc "
  cd /home/consumer
  cmake -S find_package -B build/find_package && cmake --build build/find_package && build/find_package/app
  cmake -S components -B build/components -DCOMPONENTS=$components
  cmake --build build/components && build/components/app
  pkg_config/build_and_run.sh pkg-config /nowhere c++
  c++ -std=c++20 components/main.cpp -o app \$(pkg-config --cflags --libs microbatch_${components//,/ microbatch_}) && ./app"

inside apt-get purge -qq 'libmicrobatch*' >/dev/null
[[ -z $(left) ]] || fail "left behind: $(left)"
echo "debian.sh: installed, used with the components ${components:-(none)}, removed without a trace"
