package kube

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

var commandProtocols = []string{"v4.channel.k8s.io"}

// finishTimeout is how long a kubelet waits for the client to close.
const finishTimeout = 15 * time.Minute

func (p *Program) serve(address string) {
	listener, err := listen(address)
	check("listen", err)
	fmt.Println("listening")
	handler := func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/exec"):
			p.serveCommand(w, r, r.URL.Query()["command"])
		case strings.HasSuffix(r.URL.Path, "/attach"):
			p.serveCommand(w, r, nil)
		case strings.HasSuffix(r.URL.Path, "/portforward"):
			p.serveForwards(w, r)
		default:
			http.NotFound(w, r)
		}
	}
	check("serve", http.Serve(listener, http.HandlerFunc(handler)))
}

// upgrade answers 101, and takes the first protocol of the client that is known.
func upgrade(w http.ResponseWriter, r *http.Request, known []string) net.Conn {
	var chosen string
	for _, offered := range r.Header.Values("X-Stream-Protocol-Version") {
		for _, ours := range known {
			if chosen == "" && offered == ours {
				chosen = ours
			}
		}
	}
	if chosen == "" || !strings.EqualFold(r.Header.Get("Upgrade"), "SPDY/3.1") {
		w.Header().Set("X-Accepted-Stream-Protocol-Versions", strings.Join(known, ", "))
		http.Error(w, "unable to upgrade: unable to negotiate protocol", http.StatusForbidden)
		return nil
	}
	w.Header().Set("Connection", "Upgrade")
	w.Header().Set("Upgrade", "SPDY/3.1")
	w.Header().Set("X-Stream-Protocol-Version", chosen)
	w.WriteHeader(http.StatusSwitchingProtocols)
	conn, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		fmt.Println("hijack:", err)
		return nil
	}
	return &rewound{Conn: conn, reader: buffered.Reader}
}

// rewound is a connection whose first bytes the HTTP server has read.
type rewound struct {
	net.Conn
	reader io.Reader
}

func (r *rewound) Read(p []byte) (int, error) { return r.reader.Read(p) }

// serveCommand runs a command of its own for attach, whose argv is nil.
func (p *Program) serveCommand(w http.ResponseWriter, r *http.Request, argv []string) {
	conn := upgrade(w, r, commandProtocols)
	if conn == nil {
		return
	}
	type opening struct {
		stream  Stream
		replied <-chan struct{}
	}
	opened := make(chan opening)
	s := p.start(conn, true, func(stream Stream, replied <-chan struct{}) error {
		// Nobody takes a stream that comes when the command runs: it gets no reply, and
		// holds its worker.
		opened <- opening{stream, replied}
		return nil
	})
	defer s.end()
	s.SetIdleTimeout(p.options.idle)
	wanted := 1
	asks := func(name string) bool {
		value := r.URL.Query().Get(name)
		return value == "true" || value == "1"
	}
	for _, name := range []string{"stdin", "stdout", "stderr", "tty"} {
		if asks(name) {
			wanted++
		}
	}
	streams := map[string]Stream{}
	expired := time.After(creationTimeout)
	for len(streams) < wanted {
		select {
		case next := <-opened:
			<-next.replied
			streams[next.stream.Headers().Get("Streamtype")] = next.stream
		case <-expired:
			fmt.Println("not every stream came")
			return
		case <-s.CloseChan():
			return
		}
	}
	attached := argv == nil
	if attached {
		argv = []string{"sh", "-c", "echo attached; exec cat"}
	}
	status := run(argv, streams, asks("tty"), s)
	if attached {
		status = success
	}
	if p.options.ending == endByFinish {
		finish(s, streams, status)
	} else {
		streams["error"].Write(status)
	}
	if p.options.report {
		s.report(os.Stdout)
	}
}

// finish ends what the client reads, and leaves the end of the connection to it.
func finish(s *session, streams map[string]Stream, status []byte) {
	for _, name := range []string{"stdin", "resize"} {
		if stream := streams[name]; stream != nil {
			stream.Reset()
		}
	}
	streams["error"].Write(status)
	for _, name := range []string{"stdout", "stderr", "error"} {
		if stream := streams[name]; stream != nil {
			stream.Close()
		}
	}
	select {
	case <-s.CloseChan():
	case <-time.After(finishTimeout):
		fmt.Println("the client did not close")
	}
}
