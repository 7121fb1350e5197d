package guest

import "strings"

// rustEscapes are what rustc writes for characters that a symbol cannot have.
var rustEscapes = strings.NewReplacer("$LT$", "<", "$GT$", ">", "$RF$", "&", "$BP$", "*", "$LP$", "(", "$RP$", ")", "$C$", ",",
	"$u20$", " ", "$u22$", `"`, "$u27$", "'", "$u2b$", "+", "$u3b$", ";", "$u5b$", "[", "$u5d$", "]", "$u7b$", "{", "$u7d$", "}",
	"$u7e$", "~", "..", "::")

// FunctionName is a function's name as its author wrote it: rustc makes _ZN5delay5flush17h0123456789abcdefE of delay::flush, each
// part behind its length and a hash at the end (its "legacy" mangling). Other names are as they are.
func FunctionName(symbol string) string {
	rest, ok := strings.CutPrefix(symbol, "_ZN")
	if !ok {
		return symbol
	}
	var parts []string
	for rest != "" && rest[0] != 'E' {
		n, i := 0, 0
		for ; i < len(rest) && '0' <= rest[i] && rest[i] <= '9' && n < len(rest); i++ {
			n = 10*n + int(rest[i]-'0')
		}
		if n == 0 || n > len(rest)-i {
			return symbol
		}
		part := rest[i : i+n]
		if strings.HasPrefix(part, "_$") {
			part = part[1:]
		}
		parts, rest = append(parts, rustEscapes.Replace(part)), rest[i+n:]
	}
	if last := len(parts) - 1; last > 0 && len(parts[last]) == 17 && parts[last][0] == 'h' {
		parts = parts[:last]
	}
	if rest == "" || len(parts) == 0 {
		return symbol
	}
	return strings.Join(parts, "::")
}
