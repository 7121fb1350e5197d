// Command guests builds every committed guest module again from its source and rewrites its lock.
//
//	go run ./runtime/build/guests            rebuild what is not fresh
//	go run ./runtime/build/guests -all       rebuild everything
//	go run ./runtime/build/guests -check     rebuild into nowhere and compare byte for byte; with another toolchain than the
//	                                         recorded one the bytes differ by right, and only the build itself is checked
//	go run ./runtime/build/guests -new SOURCE MODULE.wasm
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tidemill/tidemill/runtime/build"
)

func main() {
	check := flag.Bool("check", false, "compare, write nothing")
	all := flag.Bool("all", false, "rebuild also what is fresh")
	add := flag.Bool("new", false, "build SOURCE to MODULE.wasm and make its lock")
	root := flag.String("root", ".", "folder to search")
	flag.Parse()
	var err error
	switch {
	case *add && flag.NArg() == 2:
		err = rebuild(flag.Arg(1)+build.LockSuffix, flag.Arg(0))
	case *add:
		err = fmt.Errorf("-new wants SOURCE and MODULE.wasm")
	default:
		err = each(*root, *check, *all)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func each(root string, check, all bool) error {
	locks, err := build.Locks(root)
	if err != nil {
		return err
	}
	if len(locks) == 0 {
		return fmt.Errorf("no guest is locked below %s", root)
	}
	for _, path := range locks {
		lock, err := build.ReadLock(path)
		if err != nil {
			return err
		}
		source := filepath.Join(filepath.Dir(path), filepath.FromSlash(lock.Source))
		switch {
		case check:
			err = compare(path, source, lock)
		case all || lock.Check(path) != nil:
			err = rebuild(path, source)
		default:
			fmt.Printf("%s: fresh\n", path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func rebuild(path, source string) error {
	built, err := build.Build(context.Background(), source, build.Options{Out: strings.TrimSuffix(path, build.LockSuffix)})
	if err != nil {
		return err
	}
	lock, err := build.NewLock(path, source, built)
	if err != nil {
		return err
	}
	fmt.Printf("%s: %d bytes, %s\n", built.Path, built.Bytes, built.Toolchain)
	return lock.Write(path)
}

func compare(path, source string, lock *build.Lock) error {
	tmp, err := os.MkdirTemp("", "guests-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	if err := lock.Check(path); err != nil {
		return err
	}
	built, err := build.Build(context.Background(), source, build.Options{Out: filepath.Join(tmp, "module.wasm")})
	switch {
	case err != nil:
		return err
	case built.Toolchain != lock.Toolchain:
		fmt.Printf("%s: builds with %s; recorded with %s, bytes not compared\n", path, built.Toolchain, lock.Toolchain)
	case built.SHA256 != lock.Module && built.Language == "rust":
		// cargo puts a hash of where a crate lies into the names of its functions.
		fmt.Printf("%s: builds; in another folder than the recorded one its names differ, bytes not compared\n", path)
	case built.SHA256 != lock.Module:
		return fmt.Errorf("%s: building it again gives other bytes (%s, recorded %s)", path, built.SHA256, lock.Module)
	default:
		fmt.Printf("%s: the same bytes again\n", path)
	}
	return nil
}
