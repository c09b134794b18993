// Package nexus is the client of nexusd, the daemon that keeps the OAuth credentials of agents alive.
//
// An agent asks by the name of the provider and of its user, and gets a token that is current:
//
//	client, err := nexus.New()
//	...
//	token, err := client.Token(ctx, "github", "ada")
//
// When a person must consent first the error is a [*ConsentRequired] with the link; [Client.Acquire] shows the link and waits.
//
// [New] finds the daemon by itself: its socket, or NEXUS_ADDRESS and NEXUS_API_KEY_FILE. A client holds one stream open, by which the
// daemon tells of each refresh, loss of consent and revocation. So [Client.Token] answers from memory, by clocks that are apart too, and
// goes on doing so until the token expires while the daemon is away.
//
// To call an API, put [Client.Transport] into an [http.Client]; for gRPC, give [Client.RPCCredentials] to the calls; for libraries that take
// an oauth2.TokenSource there is the package nexusoauth2. [Token.Apply] puts a credential into one request. All do it as the provider's
// profile says: by a header, a parameter of the query, HTTP Basic, an HMAC or AWS Signature Version 4.
package nexus
