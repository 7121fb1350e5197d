package wat

import "strings"

// immediate says what follows an opcode.
type immediate int

const (
	none immediate = iota
	label
	function
	local
	global
	memarg   // offset=8, alignment 0
	zeroByte // memory index
	constI32
	constI64
	constF32
	constF64
	segment     // index of a data segment, then a zero byte
	segmentOnly // index of a segment
	zeroTwice
	elemTable // index of an element segment, then table 0
)

type instruction struct {
	code []byte
	imm  immediate
}

// instructions are the plain ones by name; blocks, br_table and call_indirect are read by their own code.
var instructions = func() map[string]instruction {
	set := map[string]instruction{
		"unreachable": {[]byte{0x00}, none}, "nop": {[]byte{0x01}, none}, "else": {[]byte{0x05}, none},
		"br": {[]byte{0x0c}, label}, "br_if": {[]byte{0x0d}, label}, "return": {[]byte{0x0f}, none},
		"call": {[]byte{0x10}, function}, "drop": {[]byte{0x1a}, none}, "select": {[]byte{0x1b}, none},
		"local.get": {[]byte{0x20}, local}, "local.set": {[]byte{0x21}, local}, "local.tee": {[]byte{0x22}, local},
		"global.get": {[]byte{0x23}, global}, "global.set": {[]byte{0x24}, global},
		"memory.size": {[]byte{0x3f}, zeroByte}, "memory.grow": {[]byte{0x40}, zeroByte},
		"i32.const": {[]byte{0x41}, constI32}, "i64.const": {[]byte{0x42}, constI64},
		"f32.const": {[]byte{0x43}, constF32}, "f64.const": {[]byte{0x44}, constF64},
		"ref.func":    {[]byte{0xd2}, function},
		"memory.init": {[]byte{0xfc, 8}, segment}, "data.drop": {[]byte{0xfc, 9}, segmentOnly},
		"memory.copy": {[]byte{0xfc, 10}, zeroTwice}, "memory.fill": {[]byte{0xfc, 11}, zeroByte},
		"table.init": {[]byte{0xfc, 12}, elemTable}, "elem.drop": {[]byte{0xfc, 13}, segmentOnly},
		"table.copy": {[]byte{0xfc, 14}, zeroTwice},
	}
	run := func(first byte, imm immediate, names string) {
		for i, n := range strings.Fields(names) {
			set[n] = instruction{[]byte{first + byte(i)}, imm}
		}
	}
	prefixed := func(prefix, names string) string {
		list := strings.Fields(names)
		for i := range list {
			list[i] = prefix + list[i]
		}
		return strings.Join(list, " ")
	}
	run(0x28, memarg, `i32.load i64.load f32.load f64.load i32.load8_s i32.load8_u i32.load16_s i32.load16_u
		i64.load8_s i64.load8_u i64.load16_s i64.load16_u i64.load32_s i64.load32_u
		i32.store i64.store f32.store f64.store i32.store8 i32.store16 i64.store8 i64.store16 i64.store32`)
	const (
		compareInt   = "eqz eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u"
		compareFloat = "eq ne lt gt le ge"
		integer      = "clz ctz popcnt add sub mul div_s div_u rem_s rem_u and or xor shl shr_s shr_u rotl rotr"
		float        = "abs neg ceil floor trunc nearest sqrt add sub mul div min max copysign"
	)
	run(0x45, none, prefixed("i32.", compareInt)+" "+prefixed("i64.", compareInt)+" "+
		prefixed("f32.", compareFloat)+" "+prefixed("f64.", compareFloat)+" "+
		prefixed("i32.", integer)+" "+prefixed("i64.", integer)+" "+prefixed("f32.", float)+" "+prefixed("f64.", float)+
		` i32.wrap_i64 i32.trunc_f32_s i32.trunc_f32_u i32.trunc_f64_s i32.trunc_f64_u i64.extend_i32_s i64.extend_i32_u
		i64.trunc_f32_s i64.trunc_f32_u i64.trunc_f64_s i64.trunc_f64_u f32.convert_i32_s f32.convert_i32_u f32.convert_i64_s
		f32.convert_i64_u f32.demote_f64 f64.convert_i32_s f64.convert_i32_u f64.convert_i64_s f64.convert_i64_u
		f64.promote_f32 i32.reinterpret_f32 i64.reinterpret_f64 f32.reinterpret_i32 f64.reinterpret_i64
		i32.extend8_s i32.extend16_s i64.extend8_s i64.extend16_s i64.extend32_s`)
	return set
}()
