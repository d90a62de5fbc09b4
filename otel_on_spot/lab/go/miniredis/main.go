// Command miniredis is the Redis of the lab: miniredis in a process of its own. Argo CD keeps its caches in it
// (GET, SET, EXPIRE, DEL, RENAME, PUBLISH, SUBSCRIBE), and loses nothing that matters when it ends.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// The step in which keys age: miniredis has no clock of its own.
// Source: https://github.com/alicebob/miniredis#ttls-key-expiration-and-time
const tick = 250 * time.Millisecond

func main() {
	address := flag.String("address", "127.0.0.1:6379", "host:port to listen on")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "miniredis: given %q; it takes only flags: use -address host:port\n", flag.Args())
		os.Exit(2)
	}
	ended, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	server := miniredis.NewMiniRedis()
	if err := server.StartAddr(*address); err != nil {
		fmt.Fprintf(os.Stderr, "miniredis: can't listen on %s: %v; use another -address or end what listens there\n", *address, err)
		os.Exit(1)
	}
	fmt.Printf("miniredis: listening on %s\n", server.Addr())

	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-ended.Done():
			server.Close()
			return
		case now := <-ticker.C:
			server.FastForward(now.Sub(last))
			last = now
		}
	}
}
