package profile

import (
	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

// WASIModule is what guests import the WASI subset from; the ABI's own functions come from abi.ImportModule.
const WASIModule = "wasi_snapshot_preview1"

// Import names a host function.
type Import struct{ Module, Name string }

// Imports is the closed set of host functions with their signatures, as in abi/SPEC.md. It must not be changed.
var Imports = func() map[Import]wasm.FuncType {
	set := map[Import]wasm.FuncType{}
	for module, functions := range signatures {
		for name, s := range functions {
			set[Import{module, name}] = parse(s)
		}
	}
	return set
}()

// signatures are written as parameters, a colon and results: i for i32, I for i64.
var signatures = map[string]map[string]string{
	abi.ImportModule: {
		"log":             "iii:",
		"state_get":       "iiiiii:i",
		"state_scan_open": "iiiii:i",
		"state_scan_next": "iii:i",
		"state_apply":     "ii:",
		"fuel_left":       ":I",
	},
	WASIModule: {
		"args_get":                "ii:i",
		"args_sizes_get":          "ii:i",
		"environ_get":             "ii:i",
		"environ_sizes_get":       "ii:i",
		"clock_time_get":          "iIi:i",
		"random_get":              "ii:i",
		"poll_oneoff":             "iiii:i",
		"sched_yield":             ":i",
		"proc_exit":               "i:",
		"fd_advise":               "iIIi:i",
		"fd_allocate":             "iII:i",
		"fd_close":                "i:i",
		"fd_datasync":             "i:i",
		"fd_fdstat_get":           "ii:i",
		"fd_fdstat_set_flags":     "ii:i",
		"fd_fdstat_set_rights":    "iII:i",
		"fd_filestat_get":         "ii:i",
		"fd_filestat_set_size":    "iI:i",
		"fd_filestat_set_times":   "iIIi:i",
		"fd_pread":                "iiiIi:i",
		"fd_prestat_get":          "ii:i",
		"fd_prestat_dir_name":     "iii:i",
		"fd_pwrite":               "iiiIi:i",
		"fd_read":                 "iiii:i",
		"fd_readdir":              "iiiIi:i",
		"fd_renumber":             "ii:i",
		"fd_seek":                 "iIii:i",
		"fd_sync":                 "i:i",
		"fd_tell":                 "ii:i",
		"fd_write":                "iiii:i",
		"path_create_directory":   "iii:i",
		"path_filestat_get":       "iiiii:i",
		"path_filestat_set_times": "iiiiIIi:i",
		"path_link":               "iiiiiii:i",
		"path_open":               "iiiiiIIii:i",
		"path_readlink":           "iiiiii:i",
		"path_remove_directory":   "iii:i",
		"path_rename":             "iiiiii:i",
		"path_symlink":            "iiiii:i",
		"path_unlink_file":        "iii:i",
	},
}

func parse(s string) wasm.FuncType {
	var t wasm.FuncType
	list := &t.Params
	for _, c := range s {
		switch c {
		case 'i':
			*list = append(*list, wasm.I32)
		case 'I':
			*list = append(*list, wasm.I64)
		case ':':
			list = &t.Results
		}
	}
	return t
}
