// http2-server PORT FOLDER [CERT KEY]: Go's HTTP/2 server, cleartext (h2c) or
// over TLS.
//
//	GET  /NAME      the file NAME of FOLDER
//	POST /digest    the SHA-256 of the request body, in hex
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
