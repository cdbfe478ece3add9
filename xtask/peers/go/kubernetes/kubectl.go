package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/docker/spdystream"
)

const pod = "/api/v1/namespaces/default/pods/mypod"

// connect asks for SPDY/3.1. What arrives in the same read as the response is lost,
// as in Go's own client.
func connect(address, target string, protocols ...string) *spdystream.Connection {
	conn, err := dial(address)
	check("dial", err)
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n", target, address)
	fmt.Fprintf(conn, "Connection: Upgrade\r\nUpgrade: SPDY/3.1\r\n")
	for _, protocol := range protocols {
		fmt.Fprintf(conn, "X-Stream-Protocol-Version: %s\r\n", protocol)
	}
	fmt.Fprintf(conn, "\r\n")
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	check("response", err)
	if response.StatusCode != http.StatusSwitchingProtocols {
		text, _ := io.ReadAll(response.Body)
		fail(fmt.Sprintf("%s: %s", response.Status, text))
	}
	connection, err := spdystream.NewConnection(conn, false)
	check("connection", err)
	go connection.Serve(func(stream *spdystream.Stream) { stream.Refuse() })
	go func() {
		for range time.Tick(5 * time.Second) {
			connection.Ping()
		}
	}()
	return connection
}

func open(connection *spdystream.Connection, header http.Header) *spdystream.Stream {
	stream, err := connection.CreateStream(header, nil, false)
	check("stream", err)
	check("answer", stream.WaitTimeout(creationTimeout))
	return stream
}

func exec(address, wanted string, argv []string, in io.Reader, out, err io.Writer) int {
	query := wanted
	for _, argument := range argv {
		query += "&command=" + url.QueryEscape(argument)
	}
	connection := connect(address, pod+"/exec?"+query,
		"v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
	streams := map[string]*spdystream.Stream{}
	for _, name := range []string{"error", "stdin", "stdout", "stderr"} {
		if name == "error" || strings.Contains(wanted, name) {
			streams[name] = open(connection, http.Header{"streamType": {name}})
		}
	}
	if stdin := streams["stdin"]; stdin != nil {
		go func() {
			io.Copy(onlyWriter{stdin}, struct{ io.Reader }{in})
			stdin.Close()
		}()
	}
	failed := make(chan []byte)
	go func() {
		text, _ := io.ReadAll(streams["error"])
		failed <- text
	}()
	var outputs sync.WaitGroup
	for name, to := range map[string]io.Writer{"stdout": out, "stderr": err} {
		if stream := streams[name]; stream != nil {
			outputs.Add(1)
			go func(to io.Writer) {
				defer outputs.Done()
				io.Copy(onlyWriter{to}, stream)
				// The connection must not stall when our output is closed.
				io.Copy(io.Discard, stream)
			}(to)
		}
	}
	outputs.Wait()
	code := exitCode(<-failed)
	for _, stream := range streams {
		stream.Reset()
	}
	connection.Close()
	return code
}

func exitCode(text []byte) int {
	var status struct {
		Status, Message, Reason string
		Details                 struct {
			Causes []struct{ Reason, Message string }
		}
	}
	// Go's client takes an empty stream for success; this peer does not.
	check("status "+strconv.Quote(string(text)), json.Unmarshal(text, &status))
	if status.Status == "Success" {
		return 0
	}
	for _, cause := range status.Details.Causes {
		if status.Reason == "NonZeroExitCode" && cause.Reason == "ExitCode" {
			code, err := strconv.ParseUint(cause.Message, 10, 8)
			check("exit code", err)
			return int(code)
		}
	}
	fmt.Fprintln(os.Stderr, status.Message)
	return 1
}

func forward(address string, port int) {
	connection := connect(address, pod+"/portforward", "portforward.k8s.io")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check("listen", err)
	fmt.Println(listener.Addr())
	go func() {
		for number := 0; ; number++ {
			local, err := listener.Accept()
			check("accept", err)
			go carry(connection, local, port, number)
		}
	}()
	<-connection.CloseChan()
	fail("lost connection to pod")
}

// openPair opens the streams of a local connection.
func openPair(connection *spdystream.Connection, port, number int) (data *spdystream.Stream, failed chan string) {
	header := http.Header{"port": {strconv.Itoa(port)}, "requestID": {strconv.Itoa(number)}}
	header["streamType"] = []string{"error"}
	failure := open(connection, header)
	failure.Close()
	failed = make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(failure)
		failed <- string(text)
	}()
	header = header.Clone()
	header["streamType"] = []string{"data"}
	return open(connection, header), failed
}

func carry(connection *spdystream.Connection, local net.Conn, port, number int) {
	defer local.Close()
	data, failed := openPair(connection, port, number)
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
	data.Reset()
	if text := <-failed; text != "" {
		fmt.Fprintln(os.Stderr, "an error occurred forwarding:", text)
		connection.Close()
	}
}
