// Package metrics serves a job's counters to Prometheus, and Go's profiles, each on an address of its own.
//
// An address without a host is one of the loopback interface: metrics and profiles tell more of a machine than a stranger should
// know, so another interface must be named.
package metrics

import (
	"errors"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tidemill/tidemill/runtime/telemetry"
)

// Server is a running HTTP server.
type Server struct {
	What    string
	Address string // that it listens on, the port filled in
	http    *http.Server
}

// Servers are several.
type Servers []*Server

// Close stops them; requests under way are cut off.
func (s Servers) Close() {
	for _, server := range s {
		_ = server.http.Close()
	}
}

// Serve serves /metrics.
func Serve(address string, snapshot func() *telemetry.Snapshot) (*Server, error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(&collector{snapshot: snapshot, clock: time.Now}, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return start(address, "metrics", mux)
}

// ServeProfiles serves /debug/pprof/.
func ServeProfiles(address string) (*Server, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return start(address, "profiles", mux)
}

func start(address, what string, handler http.Handler) (*Server, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if host == "" {
		host = "127.0.0.1"
	}
	listener, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, err
	}
	s := &Server{What: what, Address: listener.Addr().String(), http: &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}}
	go func() {
		if err := s.http.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			_ = listener.Close() // the job does not end for want of an observer
		}
	}()
	return s, nil
}
