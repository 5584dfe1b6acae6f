// Command lake-ferretdb runs FerretDB on SQLite files, by its embeddable package.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

// Set by the linker.
var version = "unknown"

func main() {
	listen := flag.String("listen", "127.0.0.1:27017", "TCP address to listen on")
	directory := flag.String("directory", "", "existing directory of the SQLite files")
	showVersion := flag.Bool("version", false, "print the version of FerretDB")
	flag.Parse()
	if *showVersion {
		fmt.Println("FerretDB", version)
		return
	}
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: *listen},
		Handler:   "sqlite",
		SQLiteURL: "file:" + *directory + "/",
	})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := server.Run(ctx); err != nil {
		log.Fatal(err)
	}
}
