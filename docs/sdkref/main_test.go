package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestThePageIsFresh(t *testing.T) {
	want, err := reference("../../sdk-go")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../reference/sdk-go.md")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/reference/sdk-go.md is stale: go generate ./docs/sdkref")
	}
	for _, symbol := range []string{"### type Value", "### func (*Timer) Set", "### func Register"} {
		if !strings.Contains(string(want), symbol) {
			t.Errorf("the page has no %q", symbol)
		}
	}
}
