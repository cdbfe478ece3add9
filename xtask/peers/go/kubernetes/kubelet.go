package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	osexec "os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/docker/spdystream"
)

var commandProtocols = []string{"v4.channel.k8s.io"}

func serve(address string) {
	listener, err := listen(address)
	check("listen", err)
	fmt.Println("listening")
	handler := func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/exec"):
			serveExec(w, r)
		case strings.HasSuffix(r.URL.Path, "/portforward"):
			serveForwards(w, r)
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

// session answers each stream at once, and passes it on.
type session struct {
	connection *spdystream.Connection
	opened     chan *spdystream.Stream
	lock       sync.Mutex
	streams    []*spdystream.Stream
}

func start(conn net.Conn) *session {
	connection, err := spdystream.NewConnection(conn, true)
	check("connection", err)
	s := &session{connection: connection, opened: make(chan *spdystream.Stream, 100)}
	go connection.Serve(func(stream *spdystream.Stream) {
		if stream.SendReply(http.Header{}, false) != nil {
			return
		}
		s.lock.Lock()
		s.streams = append(s.streams, stream)
		s.lock.Unlock()
		s.opened <- stream
	})
	return s
}

// close resets what is open, and says GOAWAY behind it.
func (s *session) close() {
	s.lock.Lock()
	for _, stream := range s.streams {
		stream.Reset()
	}
	s.lock.Unlock()
	s.connection.Close()
}

func serveExec(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	conn := upgrade(w, r, commandProtocols)
	if conn == nil {
		return
	}
	s := start(conn)
	defer s.close()
	wanted := []string{"error"}
	for _, name := range []string{"stdin", "stdout", "stderr"} {
		if query.Get(name) == "true" {
			wanted = append(wanted, name)
		}
	}
	streams := map[string]*spdystream.Stream{}
	expired := time.After(creationTimeout)
	for len(streams) < len(wanted) {
		select {
		case stream := <-s.opened:
			streams[stream.Headers().Get("Streamtype")] = stream
		case <-expired:
			fmt.Println("not every stream came")
			return
		case <-s.connection.CloseChan():
			return
		}
	}
	status := run(query["command"], streams, s.connection)
	streams["error"].Write(status)
}

// run is what a container runtime does: it ends the output, and returns when it is
// read to its end.
func run(argv []string, streams map[string]*spdystream.Stream, connection *spdystream.Connection) []byte {
	command := osexec.Command(argv[0], argv[1:]...)
	var stdin io.WriteCloser
	if stream := streams["stdin"]; stream != nil {
		stdin, _ = command.StdinPipe()
	}
	if stream := streams["stdout"]; stream != nil {
		command.Stdout = onlyWriter{stream}
		defer stream.Close()
	}
	if stream := streams["stderr"]; stream != nil {
		command.Stderr = onlyWriter{stream}
		defer stream.Close()
	}
	if err := command.Start(); err != nil {
		return failure("InternalError", "cannot run: "+err.Error(), "")
	}
	if stdin != nil {
		go func() {
			io.Copy(stdin, streams["stdin"])
			stdin.Close()
		}()
	}
	ended := make(chan bool)
	go func() {
		select {
		case <-connection.CloseChan():
			command.Process.Kill()
		case <-ended:
		}
	}()
	err := command.Wait()
	close(ended)
	if exit, ok := err.(*osexec.ExitError); ok {
		code := strconv.Itoa(exit.ExitCode())
		text := "command terminated with non-zero exit code: exit status " + code
		return failure("NonZeroExitCode", text, code)
	}
	if err != nil {
		return failure("InternalError", err.Error(), "")
	}
	status, _ := json.Marshal(map[string]string{"status": "Success"})
	return status
}

func failure(reason, message, code string) []byte {
	status := map[string]interface{}{"status": "Failure", "reason": reason, "message": message}
	if code != "" {
		cause := map[string]string{"reason": "ExitCode", "message": code}
		status["details"] = map[string]interface{}{"causes": []interface{}{cause}}
	} else {
		status["code"] = 500
	}
	encoded, _ := json.Marshal(status)
	return encoded
}

// onlyWriter hides the other methods of a stream from os/exec.
type onlyWriter struct{ io.Writer }

type pair struct{ data, error *spdystream.Stream }

func serveForwards(w http.ResponseWriter, r *http.Request) {
	conn := upgrade(w, r, []string{"portforward.k8s.io"})
	if conn == nil {
		return
	}
	s := start(conn)
	defer s.close()
	pairs := map[string]*pair{}
	for {
		select {
		case stream := <-s.opened:
			request := stream.Headers().Get("Requestid")
			if pairs[request] == nil {
				pairs[request] = &pair{}
			}
			both := pairs[request]
			if stream.Headers().Get("Streamtype") == "error" {
				both.error = stream
			} else {
				both.data = stream
			}
			if both.data != nil && both.error != nil {
				delete(pairs, request)
				go both.forward()
			}
		case <-s.connection.CloseChan():
			return
		}
	}
}

func (p *pair) forward() {
	port := p.data.Headers().Get("Port")
	pod, err := dial("127.0.0.1:" + port)
	if err != nil {
		fmt.Fprintf(p.error, "error forwarding port %s to pod: %v", port, err)
		p.data.Reset()
		p.error.Reset()
		return
	}
	defer pod.Close()
	toPod := make(chan bool)
	go func() {
		io.Copy(pod, p.data)
		pod.(*net.TCPConn).CloseWrite()
		close(toPod)
	}()
	// The stream alone: os.File and TCP have faster copies that no kubelet has.
	io.Copy(onlyWriter{p.data}, struct{ io.Reader }{pod})
	p.data.Close()
	select {
	case <-toPod:
	case <-time.After(time.Second):
	}
	p.error.Close()
}
