#!/usr/bin/env bash
# Puts a Rust compiler with the target wasm32-unknown-unknown into a private folder, for machines whose own Rust lacks the target and
# cannot get it (`rustup target add wasm32-unknown-unknown` is all that others need). The compiler and the target's library are those of
# Debian's stable distribution, from the mirror that the machine itself uses; nothing is installed: packages are unpacked, and run with
# the C library that comes with them. cargo stays the machine's own. Needs apt and dpkg on x86-64, 205 MB, and a minute.
#
#   runtime/build/toolchain/rust.sh [FOLDER]      FOLDER is what `tidemill build` looks into: ~/.cache/tidemill/rust-wasm
set -euo pipefail
folder=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/tidemill/rust-wasm}
suite=trixie
if [ -e "$folder/ok" ]; then
  "$folder/rustc" --version
  exit
fi
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
root=$folder/root
work=$folder/apt
rm -rf "$work" "$root"
mkdir -p "$root" "$work"/{etc,none,state/lists/partial,cache/archives/partial,debs}
: >"$work/state/status" # nothing counts as installed

mirror=$(awk '/^URIs:/ { print $2; exit }' /etc/apt/sources.list.d/*.sources)
cat >"$work/etc/suite.sources" <<SOURCES
Types: deb
URIs: $mirror
Suites: $suite
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
SOURCES
cat >"$work/apt.conf" <<CONF
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$work/etc";
Dir::Etc::preferencesparts "$work/none";
Dir::State "$work/state";
Dir::State::status "$work/state/status";
Dir::Cache "$work/cache";
APT::Sandbox::User "root";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
CONF
export APT_CONFIG=$work/apt.conf
apt-get -qq update

# Names of libraries carry versions, which the packages' own dependencies tell.
needs() { # PACKAGE PATTERN: the dependency of the package that matches
  apt-cache show --no-all-versions "$1" | awk -v pattern="$2" '/^Depends:/ && match($0, pattern) { print substr($0, RSTART, RLENGTH) }'
}
std=$(needs libstd-rust-dev 'libstd-rust-[0-9.]+')
llvm=$(needs "$std" 'libllvm[0-9]+')
xml=$(needs "$llvm" 'libxml2[0-9-]*')
icu=$(needs "$xml" 'libicu[0-9]+')
(cd "$work/debs" && apt-get -qq download rustc "$std" libstd-rust-dev libstd-rust-dev-wasm32 "$llvm" "lld-${llvm#libllvm}" \
  libc6 libstdc++6 libgcc-s1 libedit2 libffi8 "$xml" ${icu:+"$icu"} libz3-4 libzstd1 zlib1g libtinfo6 libbsd0 libmd0 liblzma5)
unset APT_CONFIG
for deb in "$work"/debs/*.deb; do
  case $deb in
    */libstd-rust-dev-wasm32_*) dpkg --fsys-tarfile "$deb" | tar -C "$root" -x --exclude='*wasip2*' --exclude='*/share/doc*' ;;
    *) dpkg --fsys-tarfile "$deb" | tar -C "$root" -x --exclude='./usr/share/*' --exclude='./usr/lib/x86_64-linux-gnu/gconv*' ;;
  esac
done

libraries=$root/usr/lib/x86_64-linux-gnu
wrap() { # NAME PROGRAM: a command that runs the program with its own C library
  printf '#!/bin/sh\nexec %s/ld-linux-x86-64.so.2 --library-path %s %s "$@"\n' "$libraries" "$libraries" "$2" >"$folder/$1"
  chmod +x "$folder/$1"
}
wrap rustc "$root/usr/bin/rustc"
wrap wasm-ld "$(ls "$root"/usr/lib/llvm-*/bin/wasm-ld)"
"$folder/rustc" --version
rm -rf "$work"
touch "$folder/ok"
