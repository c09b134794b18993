// Writes the zip of the Go module as a module proxy makes it from the tag: go_module REPOSITORY VERSION FILE.
package main

import (
	"log"
	"os"

	"golang.org/x/mod/module"
	"golang.org/x/mod/zip"
)

func main() {
	log.SetFlags(0)
	if len(os.Args) != 4 {
		log.Fatal("usage: go_module REPOSITORY VERSION FILE")
	}
	version := module.Version{Path: "github.com/nexusd/nexusd/clients/go", Version: "v" + os.Args[2]}
	file, err := os.Create(os.Args[3])
	if err == nil {
		err = zip.CreateFromVCS(file, version, os.Args[1], "HEAD", "clients/go")
	}
	if err == nil {
		err = file.Close()
	}
	if err != nil {
		log.Fatal(err)
	}
}
