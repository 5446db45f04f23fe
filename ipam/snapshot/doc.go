// Package snapshot reads the state of a live cluster from Calico's Kubernetes
// resources, and writes the state of any allocator as such resources.
//
// What [Command] prints becomes a [Snapshot]. An allocator made from it goes on
// exactly where the cluster stands: queue order, sequence numbers and pending affinities included.
// With pods among the resources, [Check] also says who uses what, and a [Live] moves the
// pods from node to node.
//
// Its rules:
//
//   - YAML and JSON, UTF-8 or UTF-16, plain or gzip; a List, one object, or several
//     documents; any number of files, folders and tar archives. The keys and values of
//     etcd, and what calicoctl prints. The groups crd.projectcalico.org/v1 and
//     projectcalico.org/v3 are both read, in one file or in several; an object that
//     is printed for both counts once.
//   - The package also reads what clusters are made from: an operator's Installation
//     with its pools, and a Kind cluster's list of nodes.
//   - The release of Calico is found among the resources ([Snapshot].Calico), and an
//     allocator goes by it. Namespaces, services and other objects are read as far as
//     they are of use, and never a problem. Virtual machines of KubeVirt are read, and
//     hold their addresses.
//   - Nothing follows from a kind of which there is no object, nor from objects that
//     cannot be read ([Snapshot].Unlisted): nobody may have asked for them.
//   - Objects marked deleted and objects of other kinds are skipped and counted.
//     Lines that are no resource, such as kubectl's messages, are skipped and
//     reported. Everything else that is not understood is a [Problem] with file,
//     line, object and field, and all problems are reported at once. Nothing is
//     dropped in silence.
//   - Files are read as a stream, an object at a time. Memory grows with the
//     cluster, not with the text. An object may have 16 MiB; YAML aliases are
//     refused.
//
// What it is not: a client of the API server, or a way to write to a cluster. It
// reads of an object only what IPAM looks at. What it writes is the state of
// addresses, not a backup.
//
// A section sign cites the description of Calico's behaviour: §6 is section 6 of
// docs/calico.md.
package snapshot
