// What a pod of the tests runs: `serve TEXT` answers every request on port 8080 with TEXT, `get URL` prints the answer
// or ends with 1 after five seconds, `wait` sleeps.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

func main() {
	switch os.Args[1] {
	case "serve":
		http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, os.Args[2]) })
		fail(http.ListenAndServe(":8080", nil))
	case "get":
		client := http.Client{Timeout: 5 * time.Second}
		answer, err := client.Get(os.Args[2])
		fail(err)
		defer answer.Body.Close()
		_, err = io.Copy(os.Stdout, answer.Body)
		fail(err)
	case "wait":
		time.Sleep(24 * time.Hour)
	}
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
