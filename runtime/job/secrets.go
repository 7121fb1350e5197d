package job

import (
	"fmt"
	"strings"

	"github.com/tidemill/tidemill/connectors/spec"
)

// Environment is where ${...} in a job.yaml comes from.
type Environment struct {
	// Lookup is os.LookupEnv, or a test's.
	Lookup func(name string) (string, bool)
	// Secrets are those of a secrets file; a variable TIDEMILL_SECRET_<NAME> counts before them.
	Secrets map[string]string
	// Paths replaces the path of sources, by name, as if the file said so: for trying a job out on other data.
	Paths map[string]string
}

// secretPrefix begins the variable of a secret; the rest is its name in capitals with - as _.
const secretPrefix = "TIDEMILL_SECRET_"

// Secrets reads a secrets file: a YAML mapping of names to texts. No error of it shows a text (I12).
func Secrets(file string, text []byte) (map[string]string, error) {
	doc, err := spec.Load(file, text, nil)
	if err != nil {
		return nil, errSecrets.Errorf("%s is not a mapping of names to texts", file).At("%s", file).Do("write one name: text a line")
	}
	if doc.Root.Kind != spec.Mapping {
		return nil, errSecrets.Errorf("%s is not a mapping of names to texts", file).At("%s", doc.Root.Place).Do("write one name: text a line")
	}
	secrets := make(map[string]string, len(doc.Root.Entries))
	for _, e := range doc.Root.Entries {
		if e.Node.Kind != spec.Scalar {
			return nil, errSecrets.Errorf("secret %s is not a text", e.Name).At("%s", e.Place)
		}
		secrets[e.Name] = e.Node.Text
	}
	return secrets, nil
}

// valueBytesMax limits a text after its references are replaced.
const valueBytesMax = 1 << 20

// resolve replaces ${NAME}, ${NAME:-default} and ${secret:name}; $${ stands for ${. Errors name the reference, never its value.
func (e Environment) resolve(text string) (string, error) {
	var out strings.Builder
	for {
		i := strings.Index(text, "${")
		if i < 0 {
			out.WriteString(text)
			break
		}
		if i > 0 && text[i-1] == '$' {
			out.WriteString(text[:i-1] + "${")
			text = text[i+2:]
			continue
		}
		out.WriteString(text[:i])
		end := strings.IndexByte(text[i:], '}')
		if end < 0 {
			return "", fmt.Errorf("a reference that begins with ${ has no }; write $${ for a plain ${")
		}
		value, err := e.value(text[i+2 : i+end])
		if err != nil {
			return "", err
		}
		out.WriteString(value)
		text = text[i+end+1:]
		if out.Len() > valueBytesMax {
			break
		}
	}
	if out.Len() > valueBytesMax {
		return "", fmt.Errorf("the value is longer than %d bytes", valueBytesMax)
	}
	return out.String(), nil
}

func (e Environment) value(reference string) (string, error) {
	if secret, ok := strings.CutPrefix(reference, "secret:"); ok {
		return e.secret(secret)
	}
	name, alternative, has := strings.Cut(reference, ":-")
	if !variableName(name) {
		return "", fmt.Errorf("${%s} is no reference; want ${NAME}, ${NAME:-default} or ${secret:name}", reference)
	}
	value, set := e.Lookup(name)
	switch {
	case strings.Contains(alternative, "${"):
		return "", fmt.Errorf("the default of ${%s} holds a reference; want plain text", name)
	case has && value == "":
		return alternative, nil
	case !set:
		return "", fmt.Errorf("variable %s is not set; set it, or write ${%s:-default}", name, name)
	}
	return value, nil
}

func (e Environment) secret(name string) (string, error) {
	if err := checkName(name); err != nil {
		return "", fmt.Errorf("${secret:%s}: %w", name, err)
	}
	variable := secretPrefix + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	if value, set := e.Lookup(variable); set {
		return value, nil
	}
	if value, set := e.Secrets[name]; set {
		return value, nil
	}
	return "", fmt.Errorf("there is no secret %q; set %s, or name it in the file of --secrets", name, variable)
}

func variableName(s string) bool {
	for i, r := range s {
		if !(r == '_' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || i > 0 && r >= '0' && r <= '9') {
			return false
		}
	}
	return s != ""
}
