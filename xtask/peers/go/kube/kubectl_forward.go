package kube

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
)

// forward prints where it listens, and ends with the connection.
func (p *Program) forward(address string, port int) {
	s := p.connect(address, pod+"/portforward", "portforward.k8s.io")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check("listen", err)
	fmt.Println(listener.Addr())
	go func() {
		for number := 0; ; number++ {
			local, err := listener.Accept()
			check("accept", err)
			go s.carry(local, port, number)
		}
	}()
	<-s.CloseChan()
	fail("lost connection to pod")
}

// openPair opens the streams of a local connection.
func (s *session) openPair(port, number int) (data Stream, failed chan string) {
	header := http.Header{"port": {strconv.Itoa(port)}, "requestID": {strconv.Itoa(number)}}
	header["streamType"] = []string{"error"}
	failure := s.open(header)
	failure.Close()
	failed = make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(failure)
		s.forget(failure)
		failed <- string(text)
	}()
	header = header.Clone()
	header["streamType"] = []string{"data"}
	return s.open(header), failed
}

func (s *session) carry(local net.Conn, port, number int) {
	defer local.Close()
	data, failed := s.openPair(port, number)
	defer s.forget(data)
	received, gone := make(chan bool), make(chan bool)
	go func() {
		io.Copy(local, data)
		close(received)
	}()
	go func() {
		defer data.Close()
		if _, err := io.Copy(onlyWriter{data}, struct{ io.Reader }{local}); err != nil {
			close(gone)
		}
	}()
	select {
	case <-received:
	case <-gone:
	}
	// Before the error stream: what nobody reads any more may block its worker.
	data.Reset()
	if text := <-failed; text != "" {
		fmt.Fprintln(os.Stderr, "an error occurred forwarding:", text)
		s.end()
	}
}
