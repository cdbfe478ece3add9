package kube

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Program is a program of kubelet's and kubectl's roles over a library.
//
//	serve ADDR                          a kubelet: exec, attach, port-forward
//	exec ADDR [-i] [-t] COMMAND...      kubectl exec; exits with the command's code
//	attach ADDR [-i]                    kubectl attach
//	forward ADDR PORT                   kubectl port-forward; prints the local address
//	load ADDR KIND BYTES                the same without copies to files, for the benches
//
// The order of frames and the waits are those of kubelet and kubectl: streams are
// opened one by one, each after the answer to the last; a text on an error stream
// ends a port-forward with all that it carries.
type Program struct {
	library Library
	options options
}

type options struct {
	ping   time.Duration
	report bool
	idle   time.Duration
	ending string
	sizes  string
}

// The ends of a kubelet's command.
const (
	// The status, RST_STREAM on every stream, GOAWAY, and the end of the transport: all
	// but the newest releases.
	endByReset = "reset"
	// RST_STREAM on stdin and resize, the status, FIN on the outputs and on the error
	// stream. The client closes: what it sends to a closed socket would discard
	// output that is still under way. The newest cri-streaming.
	endByFinish = "finish"
)

// Run reads the arguments, and plays the role that they name. The program's own
// options must be defined before.
func Run(library Library) {
	p := &Program{library: library}
	o := &p.options
	flag.DurationVar(&o.ping, "ping", -1, "interval of PINGs; by default 5s for kubectl, and none for a kubelet")
	flag.BoolVar(&o.report, "report", false, "print the number of PINGs at the end")
	flag.DurationVar(&o.idle, "idle", 4*time.Hour, "end of a kubelet's connection without frames")
	flag.StringVar(&o.ending, "end", endByReset, "end of a kubelet's command: reset or finish")
	flag.StringVar(&o.sizes, "sizes", "80x24", "sizes of kubectl's terminal: COLUMNSxROWS, the next after the first output")
	flag.Parse()
	arguments := flag.Args()
	if len(arguments) < 2 {
		fail("usage: [options] serve|exec|attach|forward|load ADDR ...")
	}
	mode, address, rest := arguments[0], arguments[1], arguments[2:]
	switch mode {
	case "serve":
		p.serve(address)
	case "exec", "attach":
		request := &command{path: mode, stdout: os.Stdout, stderr: os.Stderr}
		for len(rest) > 0 && (rest[0] == "-i" || rest[0] == "-t") {
			if rest[0] == "-i" {
				request.stdin = os.Stdin
			} else {
				request.tty, request.stderr = true, nil
			}
			rest = rest[1:]
		}
		request.argv = rest
		os.Exit(p.run(address, request))
	case "forward":
		port, err := strconv.Atoi(rest[0])
		check("port", err)
		p.forward(address, port)
	case "load":
		length, err := strconv.Atoi(rest[1])
		check("bytes", err)
		p.load(address, rest[0], length)
	default:
		fail("no mode " + mode)
	}
}

// pingInterval is 5 s for kubectl since 1.21. A kubelet sends none.
func (p *Program) pingInterval(server bool) time.Duration {
	switch {
	case p.options.ping >= 0:
		return p.options.ping
	case server:
		return 0
	default:
		return 5 * time.Second
	}
}

func check(what string, err error) {
	if err != nil {
		fail(what + ": " + err.Error())
	}
}

func fail(message string) {
	fmt.Fprintln(os.Stderr, "FAIL", message)
	os.Exit(200)
}
