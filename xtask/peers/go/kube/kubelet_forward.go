package kube

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

type pair struct{ data, error Stream }

func (p *Program) serveForwards(w http.ResponseWriter, r *http.Request) {
	conn := upgrade(w, r, []string{"portforward.k8s.io"})
	if conn == nil {
		return
	}
	opened := make(chan Stream, 1)
	s := p.start(conn, true, func(stream Stream, _ <-chan struct{}) error {
		port, kind := stream.Headers().Get("Port"), stream.Headers().Get("Streamtype")
		if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
			return fmt.Errorf("no port: %q", port)
		}
		if kind != "error" && kind != "data" {
			return fmt.Errorf("no stream type: %q", kind)
		}
		opened <- stream
		return nil
	})
	defer s.end()
	s.SetIdleTimeout(p.options.idle)
	pairs := map[string]*pair{}
	for {
		select {
		case stream := <-opened:
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
				go func() {
					both.forward()
					s.forget(both.data, both.error)
				}()
			}
		case <-s.CloseChan():
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
