// Package nexusv1 is the contract of nexusd, generated from proto/nexus/v1: tokens, connections and strategies.
//
// Most agents need package nexus alone. The clients of the services take the connection of [nexus.Client.Conn].
//
// [nexus.Client.Conn]: https://pkg.go.dev/github.com/nexusd/nexusd/clients/go#Client.Conn
package nexusv1
