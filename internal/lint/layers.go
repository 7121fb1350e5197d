package lint

import "strings"

// module is the import path of the root module.
const module = "github.com/tidemill/tidemill/"

// layers lists the packages from the leaves up. A package may import packages of lower layers, and those of its own layer that
// allowed names. A pattern ending in "/..." takes a folder and all below it; an exact name counts most, then the longest pattern.
var layers = []struct {
	name     string
	packages []string
}{
	{"leaves", []string{"abi", "abi/abigen", "abi/frame", "abi/frame/buffer", "runtime/record", "internal/...", "runtime/sandbox/vm", "runtime/sandbox/wasm", "runtime/sandbox/meter",
		"abi/conformance/program", "abi/conformance/model"}},
	{"contracts", []string{"connectors", "connectors/spec", "connectors/format", "runtime/operator", "runtime/state", "runtime/telemetry"}},
	{"parts", []string{"connectors/...", "connectors/format/...", "runtime/sandbox", "runtime/sandbox/...", "runtime/state/...", "runtime/source",
		"runtime/exchange", "runtime/sink", "runtime/build", "runtime/build/..."}},
	{"task", []string{"runtime/task"}},
	{"control plane", []string{"runtime/job", "runtime/plan", "runtime/checkpoint", "runtime/checkpoint/..."}},
	{"engine", []string{"runtime/engine", "runtime/engine/..."}},
	{"edge", []string{"runtime/cmd/...", "examples/...", "docs/..."}},
	{"proof", []string{".", "runtime/bench/...", "runtime/chaos/...", "runtime/sim/...", "abi/conformance/...", "abi/frame/frametest"}},
}

// ladder is the order within a layer where one package of it imports another.
var ladder = []struct{ from, to, why string }{
	{"connectors/...", "connectors/...", "concrete connectors use spec, format and each other's helpers only through their own folders"},
	{"runtime/operator", "runtime/state", "an operator's context carries its state"},
	{"runtime/telemetry", "runtime/operator", "a subtask's counters include the meter of its operator"},
	{"connectors/spec", "connectors", "the registry makes sources and sinks"},
	{"connectors", "connectors/spec", "the registry declares options"},
	{"connectors/format", "connectors/spec", "a format declares options"},
	{"connectors/format", "connectors", "a decoder reports bad records"},
	{"runtime/sandbox", "runtime/sandbox/...", "the operator loads and calls modules"},
	{"runtime/sandbox/...", "runtime/sandbox/...", "the parts of the sandbox know vm and wasm"},
	{"runtime/state/...", "runtime/state/...", "back-ends share the suite"},
	{"runtime/checkpoint/...", "runtime/checkpoint", "a store keeps what checkpoint defines"},
	{"runtime/checkpoint", "runtime/checkpoint/...", "a store keeps what checkpoint defines"},
	{"runtime/plan", "runtime/job", "a plan is made from a job"},
	{"runtime/engine/...", "runtime/engine", "an engine implements the seam"},
	{"runtime/cmd/...", "runtime/cmd/...", "the command is one room with alcoves"},
	{"runtime/cmd/...", "examples/...", "demo carries its example"},
	{"runtime/build/...", "runtime/build", "the rebuild task uses the build"},
	{"runtime/build", "runtime/sandbox/...", "code for an interpreter is described by running it"},
	{"internal/...", "internal/...", "leaves of leaves"},
	{"abi/abigen", "abi", "the generator reads the definition"},
	{"abi/frame", "abi", "the codec reads and writes what the definition says"},
	{"abi/frame", "abi/frame/buffer", "a frame is made of buffers"},
	{"abi/frame/buffer", "abi", "buffers are aligned as the definition says"},
	{"abi/conformance/model", "abi/conformance/program", "the model runs programs; it is a leaf so that it shares no code with what it judges"},
	{"runtime/sandbox/vm", "internal/errcode", "the errors of a module are part of the contract"},
	{"runtime/sandbox/meter", "runtime/sandbox/wasm", "the meter rewrites what the decoder reads"},
	{"runtime/bench/...", "runtime/bench/...", "benches share the results format"},
	{"runtime/chaos/...", "runtime/chaos/...", "one harness"},
	{"runtime/source", "runtime/exchange", "a source sends into an exchange"},
}

// keepers names the only folder that may import a dependency outside tests of its own folder.
var keepers = []struct{ dependency, folder string }{
	{"github.com/tetratelabs/wazero", "runtime/sandbox/wazerovm"},
	{"github.com/bytecodealliance/wasmtime-go", "runtime/sandbox/wasmtimevm"},
	{"github.com/dgraph-io/badger", "runtime/state/badgerdb"},
	{"github.com/hashicorp/go-plugin", "connectors/external"},
}

// awsFolders may import the AWS SDK.
var awsFolders = []string{"connectors/", "runtime/checkpoint/store/s3"}

// concrete connectors are imported by these only (and by tests): everything else knows the contract.
var connectorUsers = []string{"connectors/all", "runtime/cmd/", "runtime/bench/", "runtime/chaos/", "connectors/connectortest"}

// simulated are the folders in which time, randomness and files go through internal/clock and internal/vfs only.
var simulated = []string{"runtime/record", "runtime/source", "runtime/exchange", "runtime/task", "runtime/operator", "runtime/sink",
	"runtime/state", "runtime/checkpoint", "runtime/engine", "runtime/sandbox", "connectors"}

// simulatedExcept are places below them that may touch the machine, each with its reason.
var simulatedExcept = map[string]string{
	"runtime/sandbox/modcache":  "a cache of compiled code lies outside of any job",
	"runtime/sandbox/guest":     "measures slices of execution to keep the collector's pauses short; no result depends on it",
	"runtime/sandbox/wazerovm":  "keeps compiled code in a folder outside of any job",
	"runtime/state/badgerdb":    "Badger does its own I/O beneath; the folder is disposable",
	"connectors/stdout":         "standard output is not a file of the job",
	"connectors/connectortest":  "a test suite",
	"runtime/sandbox/vmtest":    "a test suite",
	"runtime/state/statetest":   "a test suite",
	"runtime/engine/enginetest": "a test suite",
}

func match(pattern, pkg string) bool {
	if rest, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == rest || strings.HasPrefix(pkg, rest+"/")
	}
	return pattern == pkg
}

// layerOf returns the index of a package's layer, -1 where none has it.
func layerOf(pkg string) int {
	best, layer := -1, -1
	for i, l := range layers {
		for _, p := range l.packages {
			weight := len(p)
			if p == pkg {
				weight += 1000 // an exact name beats the folder it is the root of
			}
			if match(p, pkg) && weight > best {
				best, layer = weight, i
			}
		}
	}
	return layer
}

// mayImport says whether the table allows an edge.
func mayImport(from, to string) bool {
	lf, lt := layerOf(from), layerOf(to)
	if lf < 0 || lt < 0 {
		return false
	}
	if lt < lf {
		return true
	}
	if lt > lf {
		return false
	}
	for _, e := range ladder {
		if match(e.from, from) && match(e.to, to) {
			return true
		}
	}
	return false
}
