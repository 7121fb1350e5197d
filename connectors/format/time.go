package format

// Dates and times are those of the proleptic Gregorian calendar (RFC 3339); days since 1970-01-01 come from the arithmetic of
// "chrono-Compatible Low-Level Date Algorithms" (Howard Hinnant, 2013), which counts years from March so that leap days end them.

const (
	usPerSecond = 1_000_000
	usPerDay    = 86400 * usPerSecond
	dateLen     = len("2006-01-02")
	stampLen    = len("2006-01-02T15:04:05")
	daysMax     = 1 << 63 / usPerDay // the last day of which an int64 of microseconds holds a part
	farDays     = daysMax - 10       // far from wrapping up to here
)

// ParseDate reads YYYY-MM-DD as days since 1970-01-01. Years outside 0000 to 9999 have a sign and six digits (ISO 8601).
func ParseDate(text []byte) (int32, bool) {
	days, n, ok := parseDate(text)
	return int32(days), ok && n == len(text) && days == int64(int32(days))
}

// parseDate returns the days and the number of bytes used.
func parseDate(b []byte) (days int64, n int, ok bool) {
	var year int
	at := 4
	if len(b) > 0 && (b[0] == '+' || b[0] == '-') {
		at = 7
		if len(b) < 7 {
			return 0, 0, false
		}
		high, ok1 := twoDigits(b[1], b[2])
		mid, ok2 := twoDigits(b[3], b[4])
		low, ok3 := twoDigits(b[5], b[6])
		if !(ok1 && ok2 && ok3) {
			return 0, 0, false
		}
		if year = high*10000 + mid*100 + low; b[0] == '-' {
			year = -year
		}
	} else {
		if len(b) < dateLen {
			return 0, 0, false
		}
		high, ok1 := twoDigits(b[0], b[1])
		low, ok2 := twoDigits(b[2], b[3])
		if !(ok1 && ok2) {
			return 0, 0, false
		}
		year = high*100 + low
	}
	if len(b) < at+6 || b[at] != '-' || b[at+3] != '-' {
		return 0, 0, false
	}
	month, ok1 := twoDigits(b[at+1], b[at+2])
	day, ok2 := twoDigits(b[at+4], b[at+5])
	if !(ok1 && ok2) || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) {
		return 0, 0, false
	}
	return daysFromCivil(year, month, day), at + 6, true
}

// ParseTimestamp reads a date, T or a blank, HH:MM:SS, and if they are there a fraction (digits beyond microseconds are cut off)
// and Z or an offset like +02:00. The result is microseconds since 1970-01-01T00:00:00Z; without a zone the text is taken as UTC.
func ParseTimestamp(b []byte) (int64, bool) {
	days, at, ok := parseDate(b)
	if !ok || len(b) < at+stampLen-dateLen {
		return 0, false
	}
	clock := b[at : at+stampLen-dateLen]
	hour, ok1 := twoDigits(clock[1], clock[2])
	minute, ok2 := twoDigits(clock[4], clock[5])
	second, ok3 := twoDigits(clock[7], clock[8])
	if !(ok1 && ok2 && ok3) || hour > 23 || minute > 59 || second > 59 || clock[3] != ':' || clock[6] != ':' ||
		clock[0] != 'T' && clock[0] != ' ' && clock[0] != 't' {
		return 0, false
	}
	us := days*usPerDay + int64(hour*3600+minute*60+second)*usPerSecond
	at += stampLen - dateLen
	if at < len(b) && b[at] == '.' {
		fraction, n := parseFraction(b[at+1:])
		if n == 0 {
			return 0, false
		}
		us += fraction
		at += 1 + n
	}
	offset, ok := parseZone(b[at:])
	us -= offset
	if days > farDays || days < -farDays {
		ok = ok && days >= -daysMax-1 && days <= daysMax && (us < 0) == (days < 0) // else it has wrapped
	}
	return us, ok
}

// parseFraction returns microseconds and the number of digits, at most 9.
func parseFraction(b []byte) (us int64, n int) {
	scale := int64(usPerSecond)
	for n < len(b) && b[n]-'0' <= 9 {
		if n == 9 {
			return 0, 0
		}
		if scale /= 10; scale > 0 {
			us += int64(b[n]-'0') * scale
		}
		n++
	}
	return us, n
}

// parseZone reads what is left of a timestamp: nothing, Z, or an offset.
func parseZone(b []byte) (us int64, ok bool) {
	if len(b) == 0 || len(b) == 1 && b[0]|0x20 == 'z' {
		return 0, true
	}
	if len(b) != len("+00:00") || b[3] != ':' || b[0] != '+' && b[0] != '-' {
		return 0, false
	}
	hour, ok1 := twoDigits(b[1], b[2])
	minute, ok2 := twoDigits(b[4], b[5])
	if !(ok1 && ok2) || hour > 23 || minute > 59 {
		return 0, false
	}
	us = int64(hour*3600+minute*60) * usPerSecond
	if b[0] == '-' {
		us = -us
	}
	return us, true
}

func twoDigits(a, b byte) (int, bool) {
	a, b = a-'0', b-'0'
	return int(a)*10 + int(b), a <= 9 && b <= 9
}

var monthDays = [13]int{0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}

func daysIn(year, month int) int {
	if month == 2 && year%4 == 0 && (year%100 != 0 || year%400 == 0) {
		return 29
	}
	return monthDays[month]
}

func daysFromCivil(year, month, day int) int64 {
	if month <= 2 {
		year--
	}
	era := floorDiv(year, 400)
	yearOfEra := year - era*400
	dayOfYear := (153*((month+9)%12)+2)/5 + day - 1
	dayOfEra := yearOfEra*365 + yearOfEra/4 - yearOfEra/100 + dayOfYear
	return int64(era)*146097 + int64(dayOfEra) - 719468
}

func civilFromDays(days int64) (year, month, day int) {
	z := int(days) + 719468
	era := floorDiv(z, 146097)
	dayOfEra := z - era*146097
	yearOfEra := (dayOfEra - dayOfEra/1460 + dayOfEra/36524 - dayOfEra/146096) / 365
	dayOfYear := dayOfEra - (365*yearOfEra + yearOfEra/4 - yearOfEra/100)
	m := (5*dayOfYear + 2) / 153
	day = dayOfYear - (153*m+2)/5 + 1
	month = (m+2)%12 + 1
	year = yearOfEra + era*400
	if month <= 2 {
		year++
	}
	return year, month, day
}

func floorDiv(a, b int) int {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// AppendDate appends YYYY-MM-DD, or a sign and six digits for years outside 0000 to 9999.
func AppendDate(dst []byte, days int32) []byte { return appendDate(dst, int64(days)) }

func appendDate(dst []byte, days int64) []byte {
	year, month, day := civilFromDays(days)
	if year < 0 || year > 9999 {
		sign := byte('+')
		if year < 0 {
			sign, year = '-', -year
		}
		dst = append(dst, sign)
		dst = appendTwo(dst, year/10000)
		year %= 10000
	}
	dst = appendTwo(dst, year/100)
	dst = appendTwo(dst, year%100)
	dst = append(dst, '-')
	dst = appendTwo(dst, month)
	dst = append(dst, '-')
	return appendTwo(dst, day)
}

// AppendTimestamp appends RFC 3339 in UTC: 2013-01-01T10:00:00Z, with a fraction without trailing zeros where there is one.
func AppendTimestamp(dst []byte, us int64) []byte {
	days := us / usPerDay
	rest := us % usPerDay
	if rest < 0 {
		days, rest = days-1, rest+usPerDay
	}
	dst = appendDate(dst, days)
	seconds := int(rest / usPerSecond)
	dst = append(dst, 'T')
	dst = appendTwo(dst, seconds/3600)
	dst = append(dst, ':')
	dst = appendTwo(dst, seconds/60%60)
	dst = append(dst, ':')
	dst = appendTwo(dst, seconds%60)
	if fraction := int(rest % usPerSecond); fraction > 0 {
		dst = append(dst, '.')
		dst = appendTwo(dst, fraction/10000)
		dst = appendTwo(dst, fraction/100%100)
		dst = appendTwo(dst, fraction%100)
		for dst[len(dst)-1] == '0' {
			dst = dst[:len(dst)-1]
		}
	}
	return append(dst, 'Z')
}

func appendTwo(dst []byte, v int) []byte { return append(dst, byte('0'+v/10), byte('0'+v%10)) }
