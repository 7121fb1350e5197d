package view

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/tidemill/tidemill/runtime/record"
)

// Count formats 1234567 as "1,234,567".
func Count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// Bytes formats a size as "12.3 KiB".
func Bytes(n int64) string {
	if n < 1024 {
		return strconv.FormatInt(n, 10) + " B"
	}
	v, unit := float64(n)/1024, 0
	for v >= 1024 && unit < 3 {
		v, unit = v/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGT"[unit])
}

// Short formats large numbers in three digits: "999", "1.2k", "34M".
func Short(v float64) string {
	units := []string{"", "k", "M", "G", "T"}
	i := 0
	for v >= 999.5 && i < len(units)-1 {
		v, i = v/1000, i+1
	}
	if v < 9.95 && i > 0 {
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") + units[i]
	}
	return fmt.Sprintf("%.0f%s", v, units[i])
}

// Elapsed formats a duration to what a person reads: "45ms", "3.2s", "12m05s", "3h20m", "5d".
func Elapsed(d time.Duration) string {
	switch {
	case d < time.Second:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// Watermark formats an event time in us.
func Watermark(w int64) string {
	switch w {
	case record.WatermarkNone:
		return "none yet"
	case record.WatermarkEnd:
		return "end"
	}
	return time.UnixMicro(w).UTC().Format("2006-01-02 15:04:05")
}

// Lag formats how far a watermark is behind now; empty where that says nothing.
func Lag(w int64, now time.Time) string {
	if w == record.WatermarkNone || w == record.WatermarkEnd {
		return ""
	}
	return Elapsed(max(now.Sub(time.UnixMicro(w)), 0))
}

// Table writes rows of cells with columns as wide as needed.
func Table(w io.Writer, rows [][]string) {
	widths := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, cell := range r {
			widths[i] = max(widths[i], len([]rune(cell)))
		}
	}
	for _, r := range rows {
		line := ""
		for i, cell := range r {
			if i == len(r)-1 {
				line += cell
				break
			}
			line += fmt.Sprintf("%-*s  ", widths[i], cell)
		}
		for len(line) > 0 && line[len(line)-1] == ' ' {
			line = line[:len(line)-1]
		}
		fmt.Fprintln(w, line)
	}
}
