#!/bin/bash
# Builds c.wasm and rust.wasm from the sources beside this script. The committed files are what it made, so nothing but this needs
# a C or Rust toolchain; go.wasm is not committed: the benchmark builds it with plain Go.
#
#   build.sh [CACHE]     CACHE (default: a folder below the user's cache) keeps private toolchains
#
# With a clang that knows wasm32 and a rustup target installed, those are used. Otherwise Debian's packages are unpacked into
# CACHE, from the mirror that this machine already uses; nothing is installed.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
CACHE=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/tidemill-corpus}
mkdir -p "$CACHE"
CACHE=$(cd "$CACHE" && pwd)

CFLAGS="-O2 -nostdlib -ffreestanding -mbulk-memory -msign-ext -mnontrapping-fptoint -mmutable-globals -Wall -Wextra"
LDFLAGS="-Wl,--no-entry,--strip-debug"

# unpack FOLDER SUITE LIST: what the function LIST prints, with private apt folders. Documentation is left out.
unpack() {
	local to=$1 suite=$2 list=$3 apt=$1.apt mirror setting deb
	rm -rf "$to" "$apt"
	mkdir -p "$to" "$apt"/{etc,none,state/lists/partial,cache/archives/partial,debs}
	: >"$apt/state/status"
	mirror=$(awk '/^URIs:/{print $2; exit}' /etc/apt/sources.list.d/*.sources)
	printf 'Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' \
		"$mirror" "$suite" >"$apt/etc/private.sources"
	for setting in 'Dir::Etc::sourcelist "/dev/null"' "Dir::Etc::sourceparts \"$apt/etc\"" "Dir::Etc::preferencesparts \"$apt/none\"" \
		"Dir::State \"$apt/state\"" "Dir::State::status \"$apt/state/status\"" "Dir::Cache \"$apt/cache\"" \
		'APT::Sandbox::User "root"' 'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false"'; do
		echo "$setting;" >>"$apt/apt.conf"
	done
	export APT_CONFIG=$apt/apt.conf
	apt-get -qq update
	(cd "$apt/debs" && apt-get -qq download $($list))
	unset APT_CONFIG
	for deb in "$apt"/debs/*.deb; do
		dpkg --fsys-tarfile "$deb" | tar -C "$to" -x --exclude='./usr/share/*' --exclude='*wasip2*'
	done
	rm -rf "$apt"
	touch "$to/complete"
}

clang_packages() { echo clang-19 libclang-cpp19 libllvm19 libclang-common-19-dev lld-19; }

# Names with versions in them go stale: they are read from what depends on them.
dependency() { apt-cache show --no-all-versions "$1" | awk -v re="$2" '/^Depends:/ && match($0, re) {print substr($0, RSTART, RLENGTH)}'; }
rust_packages() {
	local std llvm xml
	std=$(dependency libstd-rust-dev 'libstd-rust-[0-9.]+')
	llvm=$(dependency "$std" 'libllvm[0-9]+')
	xml=$(dependency "$llvm" 'libxml2[0-9-]*')
	echo rustc "$std" libstd-rust-dev libstd-rust-dev-wasm32 "$llvm" "lld-${llvm#libllvm}" "$xml" "$(dependency "$xml" 'libicu[0-9]+')" \
		libc6 libstdc++6 libgcc-s1 libedit2 libffi8 libz3-4 libzstd1 zlib1g libtinfo6 libbsd0 libmd0 liblzma5
}

build_c() {
	if command -v clang >/dev/null && command -v wasm-ld >/dev/null; then
		clang --target=wasm32 $CFLAGS $LDFLAGS "$HERE"/c/*.c -o "$HERE/c.wasm"
	else
		local root=$CACHE/clang
		[ -e "$root/complete" ] || unpack "$root" bookworm clang_packages
		PATH=$root/usr/lib/llvm-19/bin:$PATH LD_LIBRARY_PATH=$root/usr/lib/$(uname -m)-linux-gnu \
			clang --target=wasm32 -B"$root/usr/bin" $CFLAGS $LDFLAGS "$HERE"/c/*.c -o "$HERE/c.wasm"
	fi
	chmod 644 "$HERE/c.wasm"
}

build_rust() {
	local target=wasm32-unknown-unknown root=$CACHE/rust
	export CARGO_TARGET_DIR=$CACHE/target
	if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; then
		[ -e "$root/complete" ] || unpack "$root" trixie rust_packages
		local libs=$root/usr/lib/$(uname -m)-linux-gnu
		for tool in rustc:usr/bin/rustc wasm-ld:$(cd "$root" && ls usr/lib/llvm-*/bin/wasm-ld); do
			printf '#!/bin/sh\nexec %s/ld-linux-%s.so.2 --library-path %s %s "$@"\n' \
				"$libs" "$(uname -m | tr _ -)" "$libs" "$root/${tool#*:}" >"$root/${tool%%:*}"
			chmod +x "$root/${tool%%:*}"
		done
		export RUSTC=$root/rustc CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$root/wasm-ld
	fi
	(cd "$HERE/rust" && cargo build --quiet --release --locked --target $target)
	install -m 644 "$CARGO_TARGET_DIR/$target/release/corpus.wasm" "$HERE/rust.wasm"
}

build_c
build_rust
ls -l "$HERE"/*.wasm
