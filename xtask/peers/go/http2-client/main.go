// http2-client PORT plain|tls COMMAND …: Go's HTTP/2 client.
//
//	get PATH            prints `STATUS LENGTH SHA256`
//	post PATH FILE      the same, of the response to FILE as the request body
//	parallel N PATH     N requests at once: `N STATUS LENGTH SHA256` if all agree
//	trailers PATH FILE N=V   posts FILE with a trailer, prints the response's trailers
//	hints PATH          prints the interim responses, then as get
//	expect PATH FILE    posts FILE when the server says 100; over TLS only: x/net's
//	                    own transport does not wait
package main

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"
)

func main() {
	if len(os.Args) < 5 {
		fail("usage: http2-client PORT plain|tls COMMAND …")
	}
	time.AfterFunc(60*time.Second, func() { fail("timed out") })
	port, security, command, args := os.Args[1], os.Args[2], os.Args[3], os.Args[4:]
	transport := &http2.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	base := "https://127.0.0.1:" + port
	if security == "plain" {
		base = "http://127.0.0.1:" + port
		transport.AllowHTTP = true
		transport.DialTLS = func(network, address string, _ *tls.Config) (net.Conn, error) {
			return net.Dial(network, address)
		}
	}
	client := &http.Client{Transport: transport}
	switch command {
	case "get":
		fmt.Println(fetch(client, "GET", base+args[0], ""))
	case "post":
		fmt.Println(fetch(client, "POST", base+args[0], args[1]))
	case "parallel":
		count, _ := strconv.Atoi(args[0])
		answers := make(chan string)
		for i := 0; i < count; i++ {
			go func() { answers <- fetch(client, "GET", base+args[1], "") }()
		}
		first := <-answers
		for i := 1; i < count; i++ {
			if answer := <-answers; answer != first {
				fail(answer + " differs from " + first)
			}
		}
		fmt.Println(count, first)
	case "trailers":
		name, value, _ := strings.Cut(args[2], "=")
		file, err := os.Open(args[1])
		check("open", err)
		request, err := http.NewRequest("POST", base+args[0], file)
		check("request", err)
		request.Trailer = http.Header{name: {value}}
		response, err := client.Do(request)
		check("do", err)
		_, err = io.Copy(io.Discard, response.Body)
		check("body", err)
		for name, values := range response.Trailer {
			fmt.Printf("%s=%s\n", strings.ToLower(name), values[0])
		}
	case "hints":
		fmt.Println(traced(client, "GET", base+args[0], "", &httptrace.ClientTrace{
			Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
				fmt.Println(code, header.Get("Link"))
				return nil
			},
		}))
	case "expect":
		client.Transport = &http.Transport{
			TLSClientConfig:       transport.TLSClientConfig,
			ForceAttemptHTTP2:     true,
			ExpectContinueTimeout: time.Minute,
		}
		fmt.Println(traced(client, "POST", base+args[0], args[1], &httptrace.ClientTrace{
			Got100Continue: func() { fmt.Print("100 ") },
		}))
	default:
		fail("no command " + command)
	}
}

func fetch(client *http.Client, method, url, file string) string {
	return traced(client, method, url, file, nil)
}

func traced(client *http.Client, method, url, file string, trace *httptrace.ClientTrace) string {
	var body io.Reader
	if file != "" {
		opened, err := os.Open(file)
		check("open", err)
		body = opened
	}
	request, err := http.NewRequest(method, url, body)
	check("request", err)
	if trace != nil {
		request = request.WithContext(httptrace.WithClientTrace(request.Context(), trace))
		if file != "" {
			request.Header.Set("Expect", "100-continue")
		}
	}
	response, err := client.Do(request)
	check("do", err)
	if response.ProtoMajor != 2 {
		fail("spoke " + response.Proto)
	}
	hash := sha256.New()
	length, err := io.Copy(hash, response.Body)
	check("body", err)
	check("close", response.Body.Close())
	return fmt.Sprintf("%d %d %x", response.StatusCode, length, hash.Sum(nil))
}

func check(what string, err error) {
	if err != nil {
		fail(what + ": " + err.Error())
	}
}

func fail(message string) {
	fmt.Println("FAIL", message)
	os.Exit(1)
}
