// Package session is the model behind the page of the web lab: a cluster, the list of
// operations that made it, and in sentences what each of them did.
//
// [Session.Call] is all that the page needs: it takes the name of a method and JSON,
// and answers with JSON. The same calls give the same bytes: there is no clock, no
// randomness and no file here.
package session
