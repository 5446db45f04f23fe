// Package fake is Calico's IPAM for unit tests: a controller, an operator or a CNI
// plug-in that takes Calico's [ipam.Interface] gets it here, in memory, with the
// addresses, blocks, errors and messages of a real cluster, and without one.
//
//	f := fake.New(fake.Options{Pools: fake.Pools(fake.Pool("blue", "10.0.0.0/24"))})
//	f.SetNode("node-1", nil)
//	controller := NewController(f.IPAM())
//
// The allocator is package protocol of ipamsim, which does every read and write of
// the datastore that Calico does. So a test can
//
//   - count and fail operations ([Fake.Before]) and single datastore calls
//     ([Fake.BeforeCall]);
//   - read and edit blocks, affinities and handles in Calico's shapes, with
//     revisions, compare-and-swap and watches ([Fake.Datastore]): what it edits is
//     what the allocator sees;
//   - move time by hand ([Fake.Clock]): no clock of the machine is read.
//
// The answers are those of one release of Calico ([Options].Release). The interface
// and its types are those of the Calico library that this module depends on,
// v3.28, whatever the release.
//
// A section sign cites the description of Calico's behaviour: §6 is section 6 of
// docs/calico.md.
package fake
