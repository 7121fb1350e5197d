#!/bin/bash
# Builds the Python interpreter of Tidemill's operators, from nothing, into one WebAssembly module: CPython compiled to a
# wasm32-wasi reactor, the C module _tidemill (module/) built in, the standard library that makes sense and the package
# tidemill frozen in.
#
#   build.sh FOLDER [WORKFOLDER]
#
# It writes into FOLDER what the host and the wheel carry: tidemill-python.wasm.gz, tidemill-python.lock, which says from
# what it was made, and tidemill-python.modules, the names of all modules that can be imported; and tidemill-python.wasm.
#
# It needs a Debian-like x86-64 machine with apt-get, patch and make. Compiler (clang, wasi-libc), CPython's source and a
# Python to build with come as packages from the mirror that the machine's own apt uses, and are unpacked into the work
# folder; nothing is installed. What the work folder has is used again.
#
# The result depends on nothing but the packages' versions, which the lock records, and the files of this folder and of
# ../src: not on paths, time or machine. Five minutes on two cores.
set -euo pipefail
export LC_ALL=C TZ=UTC SOURCE_DATE_EPOCH=315532800 # 1980-01-01: what __DATE__ and __TIME__ are

here=$(cd "$(dirname "$0")" && pwd)
out=$(mkdir -p "$1" && cd "$1" && pwd)
work=$(mkdir -p "${2:-build}" && cd "${2:-build}" && pwd)
jobs=${JOBS:-2}

step() { echo "[${SECONDS}s] $*" >&2; }

# packages DIR TYPE SUITES: a private apt that knows the machine's own mirror.
packages() {
	mkdir -p "$1"/{etc,none,state/lists/partial,cache/archives/partial,debs}
	: >"$1/state/status"
	local mirror
	mirror=$(awk '/^URIs:/ {print $2; exit}' /etc/apt/sources.list.d/*.sources)
	printf 'Types: %s\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' \
		"$2" "$mirror" "$3" >"$1/etc/mirror.sources"
	cat >"$1/apt.conf" <<-END
		Dir::Etc::sourcelist "/dev/null";
		Dir::Etc::sourceparts "$1/etc";
		Dir::Etc::preferencesparts "$1/none";
		Dir::State "$1/state";
		Dir::State::status "$1/state/status";
		Dir::Cache "$1/cache";
		APT::Sandbox::User "root";
		Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
	END
	APT_CONFIG=$1/apt.conf apt-get -qq update
}

# compiler unpacks clang and wasi-libc and writes the commands wasi-cc, wasi-ar and wasi-ranlib.
compiler() {
	local root=$work/clang apt=$work/apt version package bin library
	if [ ! -e "$root/complete" ]; then
		packages "$apt" deb 'bookworm trixie'
		version=$(APT_CONFIG=$apt/apt.conf apt-cache madison clang-19 | awk '/bookworm\//{print $3; exit}')
		rm -rf "$root" && mkdir -p "$root"
		(
			cd "$apt/debs"
			for package in clang-19 libclang-cpp19 libllvm19 libclang-common-19-dev libclang-rt-19-dev-wasm32 lld-19 llvm-19; do
				APT_CONFIG=$apt/apt.conf apt-get -qq download "$package=$version"
			done
			APT_CONFIG=$apt/apt.conf apt-get -qq download wasi-libc/trixie
		)
		for package in "$apt"/debs/*.deb; do
			dpkg --fsys-tarfile "$package" | tar -C "$root" -x --exclude='./usr/share/*'
		done
		touch "$root/complete"
	fi
	bin=$root/usr/lib/llvm-19/bin
	library=LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu
	mkdir -p "$work/bin"
	cat >"$work/bin/wasi-cc" <<-END
		#!/bin/sh
		$library exec $bin/clang --target=wasm32-wasi --sysroot=$root/usr -isystem $root/usr/include/wasm32-wasi \\
			-L$root/usr/lib/wasm32-wasi -B$root/usr/bin -O2 -mbulk-memory -msign-ext -mnontrapping-fptoint -mmutable-globals \\
			-ffile-prefix-map=$work=. -ffile-prefix-map=$here=. "\$@" -g0 -Wno-unused-command-line-argument
	END
	local tool
	for tool in ar ranlib; do
		printf '#!/bin/sh\n%s exec %s/llvm-%s "$@"\n' "$library" "$bin" "$tool" >"$work/bin/wasi-$tool"
	done
	chmod +x "$work"/bin/wasi-*
	export PATH=$work/bin:$PATH
}

# source_code unpacks CPython with Debian's security fixes and ours, and sets $version and $revision, Debian's version.
source_code() {
	local apt=$work/source patch
	[ -e "$apt/apt.conf" ] || packages "$apt" deb-src trixie
	revision=$(APT_CONFIG=$apt/apt.conf apt-cache showsrc python3.13 | awk '/^Version:/{print $2}' | sort -V | tail -1)
	version=${revision%%-*}
	if [ ! -e "$work/cpython/complete" ]; then
		(cd "$apt" && APT_CONFIG=$apt/apt.conf apt-get -qq source --download-only "python3.13=$revision")
		rm -rf "$work/cpython" && mkdir "$work/cpython"
		tar -C "$work/cpython" --strip-components=1 -xf "$apt/python3.13_$version.orig.tar.xz"
		tar -C "$apt" -xf "$apt/python3.13_$revision.debian.tar.xz"
		grep -E '^(CVE-|dict-use|traverse-)' "$apt/debian/patches/series" | while read -r patch; do
			# Hunks for the documentation may not apply: Debian's tree has it elsewhere.
			patch -s -f -d "$work/cpython" -p1 <"$apt/debian/patches/$patch" >>"$apt/patch.log" 2>&1 || step "$patch did not apply cleanly"
		done
		for patch in "$here"/patches/*.patch; do
			patch -s -d "$work/cpython" -p1 <"$patch"
		done
		touch "$work/cpython/complete"
	fi
}

# native sets $python to Debian's own python of the very version, which the cross build runs and which compiles the library:
# others may compile it to other bytes. It is unpacked with the C library that it was linked to.
native() {
	local root=$work/native apt=$work/apt package
	python=$work/bin/native-python
	[ -e "$root/complete" ] && return
	rm -rf "$root" && mkdir -p "$root/debs"
	(
		cd "$root/debs"
		for package in python3.13-minimal libpython3.13-minimal libpython3.13-stdlib; do
			APT_CONFIG=$apt/apt.conf apt-get -qq download "$package=$revision"
		done
		APT_CONFIG=$apt/apt.conf apt-get -qq download libc6/trixie libexpat1/trixie zlib1g/trixie
	)
	for package in "$root"/debs/*.deb; do
		dpkg --fsys-tarfile "$package" | tar -C "$root" -x --exclude='./usr/share/*'
	done
	cat >"$python" <<-END
		#!/bin/sh
		PYTHONHOME=$root/usr PYTHONDONTWRITEBYTECODE=1 exec $root/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 \\
			--library-path $root/usr/lib/x86_64-linux-gnu $root/usr/bin/python3.13 "\$@"
	END
	chmod +x "$python"
	touch "$root/complete"
}

# Modules of the standard library in C that need what an operator does not have, or are large and rarely used.
left_out='_asyncio _interpreters _interpchannels _interpqueues _lsprof _queue _elementtree pyexpat _codecs_cn _codecs_hk _codecs_iso2022
	_codecs_jp _codecs_kr _codecs_tw _multibytecodec fcntl grp mmap _posixsubprocess resource select _socket syslog termios _posixshmem
	_multiprocessing _ctypes xxsubtype _bz2 _lzma zlib _uuid'

libraries='libpython3.13.a Modules/_decimal/libmpdec/libmpdec.a Modules/_hacl/libHacl_Hash_SHA2.a'

# interpreter compiles libpython in $work/wasi. Paths are relative, because some get into the module.
interpreter() {
	mkdir -p "$work/wasi/Modules"
	cd "$work/wasi"
	[ -e complete ] && return
	{
		echo '*disabled*'
		tr -s ' \t' '\n\n' <<<"$left_out"
	} >Modules/Setup.local
	{
		cat ../cpython/Tools/wasm/config.site-wasm32-wasi
		# What headers of wasi-libc announce and the library or the host does not have.
		printf '%s=no\n' ac_cv_func_setgroups ac_cv_func_timerfd_create ac_cv_header_libintl_h ac_cv_func_dlopen ac_cv_lib_dl_dlopen
	} >config.site
	# Objects come from pools and whole numbers have digits of 30 bits, as on other 64-bit machines: the defaults for wasm are
	# slower.
	PKG_CONFIG_LIBDIR=/nonexistent CONFIG_SITE=$PWD/config.site CC=wasi-cc CXX=false AR=wasi-ar RANLIB=wasi-ranlib READELF=true \
		../cpython/configure -q --host=wasm32-wasi --build="$(uname -m)-pc-linux-gnu" --with-build-python="$python" \
		--disable-test-modules --without-ensurepip --disable-ipv6 --with-pymalloc --enable-big-digits=30 >configure.log 2>&1
	# shellcheck disable=SC2086
	make -j"$jobs" $libraries >make.log 2>&1
	touch complete
}

# guest freezes the library and links the module.
guest() {
	local flags source objects=
	flags='-D_WASI_EMULATED_SIGNAL -D_WASI_EMULATED_GETPID -D_WASI_EMULATED_PROCESS_CLOCKS -DPy_BUILD_CORE -DNDEBUG -fvisibility=hidden'
	cd "$work/wasi"
	mkdir -p guest
	PYTHONHASHSEED=0 "$python" "$here/freeze.py" ../cpython/Lib "$here/../src" guest
	for source in "$here"/module/*.c; do
		# shellcheck disable=SC2086
		wasi-cc -c $flags -Wall -Wextra -Wno-unused-parameter -Wno-missing-field-initializers -Wno-sign-compare -Wno-c23-extensions \
			-I. -I../cpython/Include -Iguest --embed-dir=guest "$source" -o "guest/$(basename "$source" .c).o"
		objects="$objects guest/$(basename "$source" .c).o"
	done
	# shellcheck disable=SC2086
	wasi-cc -mexec-model=reactor $objects $libraries -lwasi-emulated-signal -lwasi-emulated-getpid -lwasi-emulated-process-clocks -lm \
		-Wl,-z,stack-size=1048576 -Wl,--stack-first -Wl,--export=tidemill_code -s -o guest/tidemill-python.wasm
	"$python" "$here/check.py" guest/tidemill-python.wasm "$work" "$here"
}

# digest is that of a file.
digest() { sha256sum "$1" | cut -d' ' -f1; }

# sources lists what the module is made of besides packages, relative to the folder of the SDK.
sources() {
	cd "$here/.."
	find interpreter/build.sh interpreter/check.py interpreter/freeze.py interpreter/module interpreter/patches -type f
	find src/tidemill -name '*.py' ! -name __main__.py ! -path '*/_build/*' ! -path '*/testing/*'
}

# deliver writes the results. The digest of the sources is that of the list that sha256sum makes of them.
deliver() {
	cd "$work/wasi/guest"
	cp tidemill-python.wasm tidemill-python.modules "$out"
	gzip -9nc tidemill-python.wasm >"$out/tidemill-python.wasm.gz"
	cat >"$out/tidemill-python.lock" <<-END
		{
		  "language": "python",
		  "version": "$version",
		  "abi": 1,
		  "wasm_sha256": "$(digest tidemill-python.wasm)",
		  "sources_sha256": "$(cd "$here/.." && sources | sort | xargs sha256sum | sha256sum | cut -d' ' -f1)",
		  "packages": {"python3.13": "$revision", "clang-19": "$(package_version clang-19)", "wasi-libc": "$(package_version wasi-libc)"}
		}
	END
}

# package_version is that of a package that was unpacked.
package_version() { dpkg-deb -f "$work"/apt/debs/"$1"_*.deb Version; }

step compiler
compiler
step 'source of CPython'
source_code
step "Python $version to build with"
native
step interpreter
interpreter
step guest
guest
deliver
step "sha256 $(digest "$out/tidemill-python.wasm"), $(stat -c %s "$out/tidemill-python.wasm") bytes, $(stat -c %s "$out/tidemill-python.wasm.gz") compressed"
