// Package ipamsim is the root of the module: Calico's IP address management
// (IPAM) as a library that runs in memory. Given the same pools, nodes and
// operations, it assigns the addresses that a real cluster assigns.
//
// The root package declares nothing. Import the packages below it:
//
//   - [github.com/ipamsim/ipamsim/ipam] is the allocator; begin here.
//   - [github.com/ipamsim/ipamsim/block], [github.com/ipamsim/ipamsim/pool] and
//     [github.com/ipamsim/ipamsim/affinity] are its parts, each usable alone.
//   - [github.com/ipamsim/ipamsim/ipam/snapshot] reads the state of a live
//     cluster into an allocator and writes it back as resources.
//   - [github.com/ipamsim/ipamsim/ipam/trace] records operations and replays them.
//   - [github.com/ipamsim/ipamsim/ipam/lifecycle] is the controller that cleans up
//     after nodes and pods.
//   - [github.com/ipamsim/ipamsim/ipam/protocol] is the same allocator as clients
//     of a datastore that race with each other.
//
// The programs under examples answer questions about clusters without any code.
package ipamsim
