package kube

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
)

const pod = "/api/v1/namespaces/default/pods/mypod"

// connect asks for SPDY/3.1. What arrives in the same read as the response is lost,
// as in Go's own client.
func (p *Program) connect(address, target string, protocols ...string) *session {
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
	return p.start(conn, false, nil)
}

// command is an exec or an attach. A stream that is nil is not asked for.
type command struct {
	path           string
	argv           []string
	stdin          io.Reader
	stdout, stderr io.Writer
	tty            bool
}

func (c *command) target() string {
	query := url.Values{"command": c.argv}
	for name, wanted := range map[string]bool{
		"stdin": c.stdin != nil, "stdout": c.stdout != nil, "stderr": c.stderr != nil, "tty": c.tty,
	} {
		if wanted {
			query.Set(name, "true")
		}
	}
	return pod + "/" + c.path + "?" + query.Encode()
}

// run returns the exit code of the command.
func (p *Program) run(address string, c *command) int {
	s := p.connect(address, c.target(),
		"v5.channel.k8s.io", "v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
	open := func(name string) Stream { return s.open(http.Header{"streamType": {name}}) }
	failure := open("error")
	var stdin, stdout, stderr, resize Stream
	if c.stdin != nil {
		stdin = open("stdin")
	}
	if c.stdout != nil {
		stdout = open("stdout")
	}
	if c.stderr != nil {
		stderr = open("stderr")
	}
	if c.tty {
		resize = open("resize")
	}

	failed := make(chan []byte)
	go func() {
		text, _ := io.ReadAll(failure)
		failed <- text
	}()
	if stdin != nil {
		copyStdin(stdin, c.stdin)
	}
	to := c.stdout
	if resize != nil {
		to = sendSizes(resize, strings.Split(p.options.sizes, ","), to)
	}
	var outputs sync.WaitGroup
	copyOutput(&outputs, to, stdout)
	copyOutput(&outputs, c.stderr, stderr)
	outputs.Wait()
	code := exitCode(<-failed)
	if p.options.report {
		s.report(os.Stderr)
	}
	s.end()
	return code
}

// copyStdin ends the stream with the input, or when the server ends its own half:
// kubectl reads the stream for that alone. A write to a stream that was reset goes
// out like any other, so that the server gets the rest of the input.
func copyStdin(stream Stream, input io.Reader) {
	var once sync.Once
	end := func() { once.Do(func() { stream.Close() }) }
	go func() {
		defer end()
		io.Copy(onlyWriter{stream}, struct{ io.Reader }{input})
	}()
	go func() {
		defer end()
		io.Copy(io.Discard, stream)
	}()
}

func copyOutput(outputs *sync.WaitGroup, to io.Writer, stream Stream) {
	if stream == nil {
		return
	}
	outputs.Add(1)
	go func() {
		defer outputs.Done()
		io.Copy(onlyWriter{to}, stream)
		// The connection must not stall when our output is closed.
		io.Copy(io.Discard, stream)
	}()
}

// sendSizes sends the first size at once, and the others when output has arrived.
func sendSizes(resize Stream, sizes []string, to io.Writer) io.Writer {
	send := func(size string) {
		columns, rows, _ := strings.Cut(size, "x")
		fmt.Fprintf(resize, `{"Width":%s,"Height":%s}`+"\n", columns, rows)
	}
	send(sizes[0])
	var once sync.Once
	return writeFunc(func(data []byte) (int, error) {
		n, err := to.Write(data)
		once.Do(func() {
			for _, size := range sizes[1:] {
				send(size)
			}
		})
		return n, err
	})
}

type writeFunc func([]byte) (int, error)

func (f writeFunc) Write(data []byte) (int, error) { return f(data) }

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
