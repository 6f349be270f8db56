// Dex with everything in memory: a real OpenID Connect issuer for tests on loopback. Dex's own program wants SQLite
// and with it a C compiler; its server is the same.
//
//	dex ADDRESS CLIENT SECRET REDIRECT SECONDS
//
// People log in through Dex's mock connector: without a form, always as the same person of the group "authors".
package main

import (
	"context"
	"log"
	"log/slog"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/dexidp/dex/server"
	"github.com/dexidp/dex/storage"
	"github.com/dexidp/dex/storage/memory"
	"github.com/prometheus/client_golang/prometheus"
)

const arguments = 6

func main() {
	if len(os.Args) != arguments {
		log.Fatal("dex ADDRESS CLIENT SECRET REDIRECT SECONDS")
	}
	address, client, secret, redirect := os.Args[1], os.Args[2], os.Args[3], os.Args[4]
	seconds, err := strconv.Atoi(os.Args[5])
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	kept := memory.New(logger)
	for _, err := range []error{
		kept.CreateClient(ctx, storage.Client{ID: client, Secret: secret, RedirectURIs: []string{redirect}, Name: client}),
		kept.CreateConnector(ctx, storage.Connector{ID: "mock", Type: "mockCallback", Name: "mock"}),
	} {
		if err != nil {
			log.Fatal(err)
		}
	}
	issuer, err := server.NewServer(ctx, server.Config{
		Issuer:             "http://" + address,
		Storage:            kept,
		SkipApprovalScreen: true,
		IDTokensValidFor:   time.Duration(seconds) * time.Second,
		Logger:             logger,
		PrometheusRegistry: prometheus.NewRegistry(),
	})
	if err != nil {
		log.Fatal(err)
	}
	listener := http.Server{Addr: address, Handler: issuer, ReadHeaderTimeout: time.Minute}
	log.Fatal(listener.ListenAndServe())
}
