// kubernetes: docker/spdystream as kubelets and kubectl use it.
//
//	kubernetes serve ADDR                     a kubelet's exec and port-forward
//	kubernetes exec ADDR [-i] COMMAND...      kubectl exec; exits with the command's code
//	kubernetes forward ADDR PORT              kubectl port-forward; prints the local address
//	kubernetes load ADDR KIND BYTES           the same without copies to files, for the benches
//
// The order of frames and the waits are those of kubelet and kubectl: streams are
// opened one by one, each after the answer to the last; the server resets what is
// open before GOAWAY; a text on an error stream ends a port-forward with all that
// it carries.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

const creationTimeout = 30 * time.Second

func main() {
	if len(os.Args) < 3 {
		fail("usage: kubernetes serve|exec|forward|load ADDR ...")
	}
	address, rest := os.Args[2], os.Args[3:]
	switch os.Args[1] {
	case "serve":
		serve(address)
	case "exec":
		streams := "stdout=true&stderr=true"
		if len(rest) > 0 && rest[0] == "-i" {
			streams, rest = "stdin=true&"+streams, rest[1:]
		}
		os.Exit(exec(address, streams, rest, os.Stdin, os.Stdout, os.Stderr))
	case "forward":
		port, err := strconv.Atoi(rest[0])
		check("port", err)
		forward(address, port)
	case "load":
		length, err := strconv.Atoi(rest[1])
		check("bytes", err)
		load(address, rest[0], length)
	default:
		fail("no mode " + os.Args[1])
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
