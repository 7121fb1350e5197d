//go:build wasip1

// Command go is the part of the corpus that is written in Go: programs in ordinary Go, as operators are. Each export is
// run_name(n) -> checksum.
package main

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math"
	"sort"
	"strconv"
	"strings"
)

func main() {}

type random uint64

func (r *random) next() uint64 {
	x := *r
	x ^= x << 13
	x ^= x >> 7
	x ^= x << 17
	*r = x
	return uint64(x)
}

func mix(h, v uint64) uint64 { return (h ^ v) * 0x9E3779B97F4A7C15 }

//go:wasmexport run_sort
func runSort(n uint32) uint64 {
	r, h := random(5), uint64(0)
	values := make([]int64, 5000)
	for range n {
		for i := range values {
			values[i] = int64(r.next() >> 1)
		}
		sort.Slice(values, func(i, j int) bool { return values[i] < values[j] })
		h = mix(h, uint64(values[len(values)/2]))
	}
	return h
}

//go:wasmexport run_map
func runMap(n uint32) uint64 {
	r, h := random(6), uint64(0)
	for range n {
		counts := map[uint64]uint64{}
		for range 5000 {
			counts[r.next()%1000]++
		}
		sum := uint64(0)
		for k, v := range counts {
			sum += k * v
		}
		h = mix(h, sum)
	}
	return h
}

//go:wasmexport run_strings
func runStrings(n uint32) uint64 {
	r := random(7)
	var b strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&b, "%d,field %d,%.2f\n", i, r.next()%100, float64(r.next()%10000)/100)
	}
	text, h := b.String(), uint64(0)
	for range n {
		total := 0.0
		for line := range strings.Lines(text) {
			fields := strings.Split(strings.TrimSpace(line), ",")
			v, err := strconv.ParseFloat(fields[2], 64)
			if err == nil && strings.Contains(fields[1], "7") {
				total += v
			}
		}
		h = mix(h, math.Float64bits(total))
	}
	return h
}

type item struct {
	ID    int      `json:"id"`
	Name  string   `json:"name"`
	Price float64  `json:"price"`
	Tags  []string `json:"tags"`
}

//go:wasmexport run_json
func runJSON(n uint32) uint64 {
	var items []item
	for i := range 100 {
		items = append(items, item{i, fmt.Sprintf("item %d", i), float64(i) * 1.25, []string{"a", "b"}})
	}
	text, err := json.Marshal(items)
	if err != nil {
		return 0
	}
	h := uint64(0)
	for range n {
		var back []item
		if err := json.Unmarshal(text, &back); err != nil {
			return 0
		}
		for _, i := range back {
			h = mix(h, uint64(i.ID)+uint64(i.Price*100)+uint64(len(i.Name)))
		}
	}
	return h
}

//go:wasmexport run_float
func runFloat(n uint32) uint64 {
	sum := 0.0
	for range n {
		for i := range 20000 {
			x := float64(i) / 1000
			sum += math.Sin(x)*math.Sqrt(x) + math.Exp(-x)
		}
	}
	return math.Float64bits(sum)
}

//go:wasmexport run_loop
func runLoop(n uint32) uint64 {
	h := uint64(1)
	for range n {
		for i := uint64(0); i < 100000; i++ {
			h = h*31 + i ^ h>>7
		}
	}
	return h
}

type shape interface{ area() float64 }
type square float64
type circle float64

func (s square) area() float64 { return float64(s * s) }
func (c circle) area() float64 { return math.Pi * float64(c*c) }

//go:wasmexport run_interfaces
func runInterfaces(n uint32) uint64 {
	var shapes []shape
	for i := range 500 {
		if i%2 == 0 {
			shapes = append(shapes, square(i))
		} else {
			shapes = append(shapes, circle(i))
		}
	}
	total := 0.0
	for range n {
		for _, s := range shapes {
			total += s.area()
		}
	}
	return math.Float64bits(total)
}

func fib(n int) int {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

//go:wasmexport run_fib
func runFib(n uint32) uint64 {
	h := uint64(0)
	for range n {
		h = mix(h, uint64(fib(18)))
	}
	return h
}

//go:wasmexport run_hash
func runHash(n uint32) uint64 {
	data, h := make([]byte, 4096), uint64(0)
	for i := range data {
		data[i] = byte(i * 7)
	}
	for range n {
		f := fnv.New64a()
		f.Write(data)
		h = mix(h, f.Sum64())
	}
	return h
}

//go:wasmexport run_allocate
func runAllocate(n uint32) uint64 {
	h := uint64(0)
	for range n {
		var list []*item
		for i := range 1000 {
			list = append(list, &item{ID: i, Name: strconv.Itoa(i)})
		}
		for _, i := range list {
			h = mix(h, uint64(len(i.Name)))
		}
	}
	return h
}
