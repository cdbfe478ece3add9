// http2-server PORT FOLDER [CERT KEY]: Go's HTTP/2 server, cleartext (h2c) or
// over TLS.
//
//	GET  /NAME      the file NAME of FOLDER
//	POST /digest    the SHA-256 of the request body, in hex
//	POST /trailers  the digest, then the request's trailers as the response's
//	GET  /hints     103 twice, then 200; over TLS only (x/net has no 1xx)
//	GET  /push      pushes small.txt, 400kb.bin and 1mb.bin
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"os"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
)

func main() {
	address, folder := "127.0.0.1:"+os.Args[1], os.Args[2]
	routes := http.NewServeMux()
	routes.Handle("/", http.FileServer(http.Dir(folder)))
	routes.HandleFunc("/digest", func(response http.ResponseWriter, request *http.Request) {
		hash := sha256.New()
		if _, err := io.Copy(hash, request.Body); err != nil {
			fmt.Println("body:", err)
			return
		}
		fmt.Fprintf(response, "%x", hash.Sum(nil))
	})
	routes.HandleFunc("/trailers", func(response http.ResponseWriter, request *http.Request) {
		hash := sha256.New()
		if _, err := io.Copy(hash, request.Body); err != nil {
			fmt.Println("body:", err)
			return
		}
		fmt.Fprintf(response, "%x", hash.Sum(nil))
		for name, values := range request.Trailer {
			response.Header().Set(http.TrailerPrefix+name, values[0])
		}
	})
	routes.HandleFunc("/hints", func(response http.ResponseWriter, request *http.Request) {
		for _, link := range []string{"</a.css>; rel=preload", "</b.css>; rel=preload"} {
			response.Header().Set("Link", link)
			response.WriteHeader(http.StatusEarlyHints)
		}
		fmt.Fprintln(response, "hinted")
	})
	routes.HandleFunc("/push", func(response http.ResponseWriter, request *http.Request) {
		for _, path := range []string{"/small.txt", "/400kb.bin", "/1mb.bin"} {
			if err := response.(http.Pusher).Push(path, nil); err != nil {
				fmt.Println("push:", err)
			}
		}
		fmt.Fprintln(response, "pushed")
	})
	logged := http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		fmt.Println(request.Method, request.URL.Path, request.Proto)
		routes.ServeHTTP(response, request)
	})
	var err error
	if len(os.Args) > 3 {
		err = http.ListenAndServeTLS(address, os.Args[3], os.Args[4], logged)
	} else {
		err = http.ListenAndServe(address, h2c.NewHandler(logged, &http2.Server{}))
	}
	fmt.Println("ended:", err)
	os.Exit(1)
}
