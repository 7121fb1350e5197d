package nearest

import "testing"

func TestName(t *testing.T) {
	known := []string{"parallelism", "checkpoint", "sources", "sinks", "a", "input"}
	for name, want := range map[string]string{
		"paralelism": "parallelism", "chekpoint": "checkpoint", "source": "sources", "sink": "sinks", "ipnut": "input",
		"b": "a", "zzz": "", "operators": "", "outputs": "", "": "a", "inptu": "input",
	} {
		if got := Name(name, known); got != want {
			t.Errorf("Name(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"ab", "ba", 1}, {"ca", "abc", 3}, {"flaw", "lawn", 2}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
		if got := distance(c.b, c.a); got != c.want {
			t.Errorf("distance(%q, %q) = %d, want %d", c.b, c.a, got, c.want)
		}
	}
}
