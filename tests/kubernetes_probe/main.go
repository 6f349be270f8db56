// What a pod of the tests runs: `serve TEXT` answers every request on port 8080 with TEXT, but from the first request of
// /break on those of /healthy with an error; `get URL` prints the answer or ends with 1 after five seconds; `wait`
// sleeps; `write FILE TEXT` and `read FILE`; `end CODE`.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"
)

func main() {
	switch os.Args[1] {
	case "serve":
		serve(os.Args[2])
	case "get":
		client := http.Client{Timeout: 5 * time.Second}
		answer, err := client.Get(os.Args[2])
		fail(err)
		_, err = io.Copy(os.Stdout, answer.Body)
		fail(err)
	case "wait":
		time.Sleep(24 * time.Hour)
	case "write":
		fail(os.WriteFile(os.Args[2], []byte(os.Args[3]), 0o640))
	case "read":
		text, err := os.ReadFile(os.Args[2])
		fail(err)
		fmt.Println(string(text))
	case "end":
		code, err := strconv.Atoi(os.Args[2])
		fail(err)
		os.Exit(code)
	}
}

func serve(text string) {
	var broken atomic.Bool
	http.HandleFunc("/break", func(http.ResponseWriter, *http.Request) { broken.Store(true) })
	http.HandleFunc("/healthy", func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, text) })
	fail(http.ListenAndServe(":8080", nil))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
