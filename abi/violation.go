package abi

import "fmt"

// Violation is a breach of the contract: something that a guest gave (a frame, a block, a description, a descriptor) is not what
// SPEC.md allows. Nothing of what contains one takes effect.
type Violation struct {
	Part     string // where: "header", "BATCH(2) column \"x\"", "outputs[1]"
	Problem  string // what is wrong there, with the numbers
	Reserved string // the feature's name where the specification has it and this host does not; else empty
}

func (v *Violation) Error() string {
	if v.Reserved != "" {
		return fmt.Sprintf("%s: %s is specified but not supported by this host", v.Part, v.Reserved)
	}
	return v.Part + ": " + v.Problem
}

// Broken is a violation whose place the caller adds by In, so that places are only written out when something is wrong.
func Broken(format string, args ...any) *Violation {
	return &Violation{Problem: fmt.Sprintf(format, args...)}
}

// Reserved is the violation of using a feature that is only specified.
func Reserved(feature string) *Violation { return &Violation{Reserved: feature} }

// ReservedType is Reserved for a column type.
func ReservedType(t Type) *Violation { return Reserved(fmt.Sprintf("a column of type %s", t)) }

// In puts a place before the place that v has, and returns v.
func (v *Violation) In(format string, args ...any) *Violation {
	part := fmt.Sprintf(format, args...)
	if v.Part != "" {
		part += " " + v.Part
	}
	v.Part = part
	return v
}

// Names of what version 1 specifies and this host refuses. Each is the text that a user reads.
const (
	FeatureFunctions  = "a function entry"
	FeatureMigrate    = "MIGRATE"
	FeatureAggregate  = "AGGREGATE"
	FeatureSlots      = "a slot above 0"
	FeatureRetract    = "a retract port"
	FeatureUpsert     = "an upsert port"
	FeatureRowKinds   = "reading row kinds"
	FeatureBroadcast  = "broadcast state"
	FeatureWatermarks = "an operator-declared watermark"
	FeatureMerge      = "MERGE"
	FeatureNested     = "a list of lists"
)
