// Package server serves the objects of a fake over HTTP, as the API server of a
// cluster with Calico's custom resources does: what controller-runtime's envtest
// needs two programs for, in the process of the test, on a virtual clock, and with an
// allocator behind it.
//
//	f := fake.New(fake.Options{})
//	s, err := server.New(f)
//	defer s.Close()
//	c, err := client.New(s.Config(), client.Options{Scheme: scheme}) // controller-runtime's
//
// It serves IPAMBlocks, BlockAffinities, IPAMHandles, IPAMConfigs, IPPools and
// IPReservations of crd.projectcalico.org/v1, in the form of Calico's v3.28, and
// nodes with their status as a subresource: discovery, get, list, watch, create, update,
// patch, delete and deletecollection, for kubectl, for clients of client-go and
// controller-runtime, and for Calico's own. What they write the allocator sees, and what
// the allocator writes they see: [fake.Fake.Resources] has the same objects without HTTP.
//
// What it is not: an API server. There are no other kinds, no namespaces, users,
// admission or schemas; nothing is defaulted or collected. Lists come in one piece,
// whatever the limit. Patches are merge patches, of nodes strategic ones too. Refused are
// JSON patches, server-side apply, dry runs, generateName, and field selectors other than
// metadata.name.
package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"

	"k8s.io/client-go/rest"

	"github.com/ipamsim/ipamsim/calicofake/fake"
)

// Server serves a fake on a port of the loopback interface. Make one with [New].
type Server struct {
	url    string
	http   *http.Server
	cancel context.CancelFunc
	served chan struct{} // closed when the listener is

	running sync.RWMutex // held by requests for reading
}

// New returns a server of the fake that listens on a free port of 127.0.0.1, for
// anybody on the machine, without TLS. The error is that of the listener.
func New(f *fake.Fake) (*Server, error) { return Start(Handler(f)) }

// Start is [New] with a handler of the caller's, such as one that fails some requests
// and passes the others to [Handler].
func Start(h http.Handler) (*Server, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{url: "http://" + listener.Addr().String(), cancel: cancel, served: make(chan struct{})}
	s.http = &http.Server{
		BaseContext: func(net.Listener) context.Context { return ctx },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s.running.RLock()
			defer s.running.RUnlock()
			if ctx.Err() == nil {
				h.ServeHTTP(w, r)
			}
		}),
	}
	go func() {
		defer close(s.served)
		_ = s.http.Serve(listener) // ends with Close
	}()
	return s, nil
}

// URL returns where the server is, such as http://127.0.0.1:34567.
func (s *Server) URL() string { return s.url }

// Config returns the configuration of a client, which is the caller's. The client
// speaks JSON and waits for nothing between requests.
func (s *Server) Config() *rest.Config {
	return &rest.Config{Host: s.url, QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
}

// Kubeconfig returns what kubectl --kubeconfig reads, and Calico's clients.
func (s *Server) Kubeconfig() []byte {
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
- name: fake
  cluster:
    server: %s
contexts:
- name: fake
  context:
    cluster: fake
    user: fake
current-context: fake
users:
- name: fake
  user: {}
`, s.url)
}

// Close ends all watches and connections and waits for the requests that run. The
// fake goes on.
func (s *Server) Close() {
	s.cancel()
	_ = s.http.Close()
	<-s.served
	s.running.Lock()
	defer s.running.Unlock()
}
