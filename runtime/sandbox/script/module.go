package script

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tidemill/tidemill/abi"
	"github.com/tidemill/tidemill/runtime/sandbox/wasm"
)

// The custom sections of a user module, in their order. A standalone module has the last one only.
const (
	BaseSection     = "tidemill.base"
	CodeSection     = "tidemill.code"
	DescribeSection = "tidemill.describe"
)

// Reference names a base: which interpreter, and the SHA-256 of its module's bytes, 64 lower-case hex digits.
type Reference struct {
	ABI      int    `json:"abi"`
	Language string `json:"language"` // "python"
	Version  string `json:"version"`  // of the language: "3.13.5"
	SHA256   string `json:"sha256"`
}

// String names the base for people: "python 3.13.5 (sha256 0123456789ab)".
func (r Reference) String() string {
	return fmt.Sprintf("%s %s (sha256 %.12s)", abi.CleanText([]byte(r.Language)), abi.CleanText([]byte(r.Version)), r.SHA256)
}

// Module is a user module.
type Module struct {
	Base     Reference
	Code     []byte // the archive, canonical
	Describe []byte // JSON; the interpreter's answer for this code
}

// header begins every module.
const header = "\x00asm\x01\x00\x00\x00"

// Encode returns the module's bytes.
func (m *Module) Encode() ([]byte, error) {
	if err := m.Base.check(); err != nil {
		return nil, err
	}
	base, err := json.Marshal(m.Base)
	if err != nil {
		return nil, err // cannot happen: strings and a number
	}
	out := make([]byte, 0, len(header)+len(base)+len(m.Code)+len(m.Describe)+64)
	out = append(out, header...)
	out = appendCustom(out, BaseSection, base)
	out = appendCustom(out, CodeSection, m.Code)
	out = appendCustom(out, DescribeSection, m.Describe)
	if len(out) > abi.ModuleBytesMax {
		return nil, ErrModule.Errorf("the module has %d bytes, at most %d are allowed", len(out), abi.ModuleBytesMax)
	}
	return out, nil
}

func appendCustom(out []byte, name string, content []byte) []byte {
	return wasm.AppendSection(out, wasm.CustomSection, append(wasm.AppendName(nil, name), content...))
}

// Parse reads a user module, or returns nil where the binary is not one: where it does not name a base. The error is an
// *errcode.Error. The module's bytes alias the binary.
func Parse(binary []byte) (*Module, error) {
	sections, err := wasm.Sections(binary)
	if !has(sections, BaseSection) {
		return nil, nil
	}
	if err != nil {
		return nil, ErrModule.Errorf("the module cannot be read to its end").Because(err).Do(rebuild)
	}
	if len(binary) > abi.ModuleBytesMax {
		return nil, ErrModule.Errorf("the module has %d bytes, at most %d are allowed", len(binary), abi.ModuleBytesMax).Do(rebuild)
	}
	content := map[string][]byte{}
	for _, s := range sections {
		if s.ID != wasm.CustomSection {
			return nil, ErrModule.Errorf("the module names a base and has a section %s of its own", s.ID).At("section %s, offset %#x", s.ID, s.Body.Start).
				Do("a module is either code for an interpreter or an ordinary module: " + rebuild)
		}
		if s.Name != BaseSection && s.Name != CodeSection && s.Name != DescribeSection {
			return nil, ErrModule.Errorf("the section %.100q does not belong into code for an interpreter", s.Name).
				At("offset %#x", s.Body.Start).Do(rebuild)
		}
		if _, twice := content[s.Name]; twice {
			return nil, ErrModule.Errorf("the section %s is there twice", s.Name).At("offset %#x", s.Body.Start).Do(rebuild)
		}
		content[s.Name] = binary[s.Body.Start:s.Body.End:s.Body.End]
	}
	for _, name := range []string{CodeSection, DescribeSection} {
		if content[name] == nil {
			return nil, ErrModule.Errorf("the module has no section %s", name).Do(rebuild)
		}
	}
	m := &Module{Code: content[CodeSection], Describe: content[DescribeSection]}
	if err := json.Unmarshal(content[BaseSection], &m.Base); err != nil {
		return nil, ErrModule.Errorf("the reference to the base is not JSON of the expected form").At("section %s", BaseSection).
			Because(err).Do(rebuild)
	}
	if err := m.Base.check(); err != nil {
		return nil, err
	}
	if _, err := ParseArchive(m.Code); err != nil {
		return nil, err
	}
	return m, nil
}

func has(sections []wasm.Section, name string) bool {
	for _, s := range sections {
		if s.ID == wasm.CustomSection && s.Name == name {
			return true
		}
	}
	return false
}

func (r Reference) check() error {
	fail := func(format string, args ...any) error {
		return ErrModule.Errorf(format, args...).At("section %s", BaseSection).Do(rebuild)
	}
	switch {
	case r.ABI != abi.Version:
		return fail("the module is for version %d of the ABI, this host speaks version %d", r.ABI, abi.Version)
	case r.Language == "" || r.Version == "":
		return fail("the reference to the base has no language or no version")
	case len(r.SHA256) != 64 || strings.Trim(r.SHA256, "0123456789abcdef") != "":
		return fail("the digest of the base, %.100q, is not 64 lower-case hex digits", r.SHA256)
	}
	return nil
}
